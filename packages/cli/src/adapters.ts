import { InputError, type AdapterFactory } from "@atlas-tv/core";
import { Option, type Command } from "commander";
import type { DependencyContainer } from "tsyringe";
import { mapping } from "./flags.js";
import { checkedOptions, findPlugin } from "./plugin-finder.js";
import type { Preset } from "./recipes.js";

/**
 * "joint": learned beside the coefficients. "sequential": fitted to frozen features, after coefficients were learned or
 * to those of the pre-trained model.
 */
export type AdapterMode = "joint" | "sequential";

/** An adapter and how it is to be fitted. */
export interface ChosenAdapter {
  readonly id: string;
  readonly factory: AdapterFactory;
  readonly options: Readonly<Record<string, unknown>>;
  readonly mode: AdapterMode;
}

export interface AdapterFlags {
  readonly adapter?: string;
  readonly adapterOptions?: Readonly<Record<string, unknown>>;
  readonly adapterMode?: AdapterMode;
  readonly compose: boolean;
}

export function addAdapterFlags(command: Command): Command {
  return command
    .option("--adapter <name>", "a classifier on the features beside the zero-shot head: tip, lpp, linear")
    .option("--adapter-options <mapping>", 'options of that adapter, as YAML: "{ epochs: 40 }"', mapping("--adapter-options"))
    .addOption(
      new Option("--adapter-mode <mode>", "learned beside the coefficients, or after them (default: joint where the adapter can)").choices([
        "joint",
        "sequential",
      ]),
    )
    .option("--no-compose", "learn no coefficients: fit the adapter to features of the pre-trained model, as a baseline");
}

function refuseWithoutAdapter({ adapterOptions, adapterMode, compose }: AdapterFlags): void {
  const expected = "--adapter beside it";
  if (adapterOptions !== undefined) throw new InputError({ where: "--adapter-options", got: "options without an adapter", expected });
  if (adapterMode !== undefined) throw new InputError({ where: "--adapter-mode", got: "a mode without an adapter", expected });
  if (!compose) throw new InputError({ where: "--no-compose", got: "no adapter: there is nothing left to learn", expected });
}

/** The adapter that the flags name; null where they name none. */
export async function chosenAdapter(
  container: DependencyContainer,
  flags: AdapterFlags & { readonly preset: Preset },
): Promise<ChosenAdapter | null> {
  const { adapter: id, compose } = flags;
  if (id === undefined) {
    refuseWithoutAdapter(flags);
    return null;
  }
  const factory = await findPlugin(container, "adapter", id);
  const canJoin = compose && factory.joint !== undefined;
  const mode = flags.adapterMode ?? (canJoin ? "joint" : "sequential");
  if (mode === "joint" && !canJoin) {
    throw new InputError({
      where: "--adapter-mode joint",
      got: compose ? `the adapter ${id}, which has no such mode` : "--no-compose beside it",
      expected: "--adapter-mode sequential, or none",
    });
  }
  return { id, factory, mode, options: checkedOptions(container, "adapter", id, flags.adapterOptions ?? {}, flags.preset) };
}
