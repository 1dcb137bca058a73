import { Option, type Command } from "commander";
import { applySettings } from "./settings.js";
import { count, list } from "./flags.js";
import { DEFAULT_MODEL } from "./loaded-model.js";

/** Flags of every command. */
export interface SharedFlags {
  readonly plugin: readonly string[];
  readonly json: boolean;
  readonly quiet: boolean;
  readonly settings?: string;
}

/** Flags of every command that computes. */
export interface BackendFlags extends SharedFlags {
  readonly backend: string;
  readonly threads?: number;
}

/** What `compile` of a backend takes from the flags. */
export function threadsOf({ threads }: BackendFlags): { threads?: number } {
  return threads === undefined ? {} : { threads };
}

const collect = (value: string, all: readonly string[]): readonly string[] => [...all, value];

/**
 * Adds the flags of every command, and has a settings file fill in what the command line leaves open. To be called
 * last, so that help shows them last.
 */
export function addSharedFlags(command: Command): Command {
  return command
    .optionsGroup("Every command:")
    .addOption(
      new Option("--plugin <path or package>", "a plug-in to load; may be given more than once")
        .argParser(collect)
        .default([], "none"),
    )
    .option("--settings <file>", "a YAML file of flags and values; the command line goes first")
    .option("--json", "print one JSON document and nothing else", false)
    .option("--quiet", "show no progress", false)
    .hook("preAction", (_program, action) => {
      const path = action.opts<Partial<SharedFlags>>().settings;
      if (path !== undefined) applySettings(action, path);
    });
}

/** Adds the flags that say where encoders are computed, and those of every command. */
export function addBackendFlags(command: Command): Command {
  command
    .optionsGroup("Computing:")
    .option("--backend <name>", "where encoders are computed", "cpu")
    .option("--threads <n>", "threads of the backend (default: all cores)", count("--threads"));
  return addSharedFlags(command);
}

/** Flags that say which model, which of its task vectors, and which data set. */
export interface ModelFlags extends BackendFlags {
  readonly model: string;
  readonly checkpoints?: string;
  readonly config?: string;
}

export interface TargetFlags extends ModelFlags {
  readonly target: string;
  readonly dataLocation?: string;
}

export interface VectorFlags {
  readonly taskVectors?: readonly string[];
}

export function addModelFlags(command: Command): Command {
  return command
    .optionsGroup("Model and data:")
    .option("--model <name or path>", "a model folder or a checkpoint, or the name of a folder among the checkpoints", DEFAULT_MODEL)
    .option("--checkpoints <dir>", "folder of models (default: the zoo's)")
    .option("--config <file>", "the model's configuration, open_clip's or Hugging Face's JSON, where neither folder nor checkpoint tells it");
}

/** Where data sets are looked for. */
export function dataLocationFlag(): Option {
  return new Option(
    "--data-location <dir>",
    "folder of data sets, or whose node_modules holds data packages (default: where you are, then atlas's own)",
  );
}

export function addTargetFlags(command: Command): Command {
  return addModelFlags(command)
    .option("--target <name or path>", "the data set: a name, or a folder with one subfolder of images per class", "MNIST")
    .addOption(dataLocationFlag());
}

export function addVectorFlags(command: Command, defaults: string): Command {
  return command.option("--task-vectors <names>", `task vectors to combine, separated by commas (${defaults})`, list);
}
