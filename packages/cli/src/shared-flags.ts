import type { Command } from "commander";
import { applySettings } from "./settings.js";
import { count, list } from "./flags.js";
import { DEFAULT_MODEL } from "./loaded-model.js";

/** Flags of every command. */
export interface SharedFlags {
  readonly backend: string;
  readonly threads?: number;
  readonly plugin: readonly string[];
  readonly json: boolean;
  readonly quiet: boolean;
  readonly settings?: string;
}

const collect = (value: string, all: readonly string[]): readonly string[] => [...all, value];

/** Adds them, and has a settings file fill in what the command line leaves open. */
export function addSharedFlags(command: Command): Command {
  return command
    .option("--backend <name>", "where encoders are computed", "cpu")
    .option("--threads <n>", "threads of the backend (default: all cores)", count("--threads"))
    .option("--plugin <path or package>", "a plug-in to load; may be given more than once", collect, [])
    .option("--settings <file>", "a YAML file of flags and values; the command line goes first")
    .option("--json", "print one JSON document and nothing else", false)
    .option("--quiet", "show no progress", false)
    .hook("preAction", (_program, action) => {
      const path = action.opts<Partial<SharedFlags>>().settings;
      if (path !== undefined) applySettings(action, path);
    });
}

/** Flags that say which model, and which of its task vectors. */
export interface ModelFlags extends SharedFlags {
  readonly model: string;
  readonly checkpoints?: string;
  readonly target: string;
  readonly taskVectors?: readonly string[];
  readonly dataLocation?: string;
}

export function addModelFlags(command: Command): Command {
  return addSharedFlags(command)
    .option("--model <name or path>", "a model folder, or the name of one among the checkpoints", DEFAULT_MODEL)
    .option("--checkpoints <dir>", "folder of models (default: the zoo's)")
    .option("--target <name or path>", "the data set: a name, or a folder with one subfolder of images per class", "MNIST")
    .option("--task-vectors <names>", "task vectors to combine, separated by commas (default: all but the target's)", list)
    .option("--data-location <dir>", "folder whose node_modules holds data packages");
}
