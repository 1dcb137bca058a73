import { blockwise, InputError, isotropic, type Composition } from "@atlas-tv/core";
import type { Command } from "commander";
import type { DependencyContainer } from "tsyringe";
import { count } from "./flags.js";
import { checkedOptions, findPlugin } from "./plugin-finder.js";
import type { Preset } from "./recipes.js";

const BUILT_IN: Readonly<Record<string, () => Composition>> = { isotropic, blockwise };

/** Ids of the compositions that need no plug-in. */
export const BUILT_IN_COMPOSITIONS: readonly string[] = Object.keys(BUILT_IN);

/** The composition of that id among those that need no plug-in. */
export function compositionById(id: string, where: string): Composition {
  const make = BUILT_IN[id];
  if (make !== undefined) return make();
  throw new InputError({ where, got: `composition "${id}"`, expected: `one of ${BUILT_IN_COMPOSITIONS.join(", ")}` });
}

/** A composition before its seed is known. */
export interface CompositionChoice {
  readonly id: string;
  /** For people and folder names: "blockwise", "partition-10". */
  readonly label: string;
  /** Options of a plug-in's composition, as its schema has them; null for a composition that is built in. */
  readonly options: Readonly<Record<string, unknown>> | null;
  /** @param seed of whatever the composition draws at random. */
  create(seed: number | string): Composition;
}

/** A composition by its id: built in, or of an installed plug-in. @throws InputError naming the package to install. */
export async function chooseComposition(
  container: DependencyContainer,
  id: string,
  given: Readonly<Record<string, unknown>>,
  where: string,
  preset?: Preset,
): Promise<CompositionChoice> {
  if (Object.hasOwn(BUILT_IN, id)) return { id, label: id, options: null, create: () => compositionById(id, where) };
  const factory = await findPlugin(container, "composition", id, where);
  const options = checkedOptions(container, "composition", id, given, preset);
  return { id, label: id, options, create: (seed) => factory.create({ seed, options }) };
}

/** Flags that say which coefficients there are. */
export interface CompositionFlags {
  readonly blockwiseCoef: boolean;
  readonly partition?: number;
}

export function addCompositionFlags(command: Command): Command {
  return command
    .option("--no-blockwise-coef", "one coefficient a task vector instead of one a task vector and block")
    .option("--partition <k>", "split every block at random into k parts, one coefficient each", count("--partition"));
}

/** The composition that the flags name. */
export async function chosenComposition(
  container: DependencyContainer,
  { blockwiseCoef, partition, preset }: CompositionFlags & { readonly preset: Preset },
): Promise<CompositionChoice> {
  if (partition === undefined) return chooseComposition(container, blockwiseCoef ? "blockwise" : "isotropic", {}, "--blockwise-coef");
  const where = `--partition ${partition}`;
  if (!blockwiseCoef) {
    throw new InputError({ where, got: "--no-blockwise-coef beside it", expected: "one of the two: parts are parts of blocks" });
  }
  const choice = await chooseComposition(container, "partition", { parts: partition }, where, preset);
  return { ...choice, label: `partition-${partition}` };
}
