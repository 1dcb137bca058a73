import "reflect-metadata";
import { container as rootContainer, type DependencyContainer, type InjectionToken } from "tsyringe";
import type { z } from "zod";
import type { AdapterFactory } from "./adapter.js";
import type { Backend } from "./backend.js";
import type { CompositionFactory } from "./composition.js";
import { InputError } from "./errors.js";
import type { ObjectiveFactory } from "./objective-factory.js";
import type { UnsupervisedObjectiveFactory } from "./unsupervised-objective.js";

/** What plug-ins of each kind provide. */
export interface PluginKinds {
  backend: Backend;
  objective: ObjectiveFactory;
  /** Objectives that need no labels. */
  unsupervised: UnsupervisedObjectiveFactory;
  adapter: AdapterFactory;
  composition: CompositionFactory;
}

export type PluginKind = keyof PluginKinds;

/** tsyringe tokens under which plug-ins register; each token may hold many. */
export const TOKENS: { readonly [K in PluginKind]: InjectionToken<PluginKinds[K]> } = {
  backend: Symbol.for("atlas-tv.backend"),
  objective: Symbol.for("atlas-tv.objective"),
  unsupervised: Symbol.for("atlas-tv.unsupervised"),
  adapter: Symbol.for("atlas-tv.adapter"),
  composition: Symbol.for("atlas-tv.composition"),
};

/** The one object a plug-in package exports as `plugin`. */
export interface Plugin {
  readonly id: string;
  readonly kind: PluginKind;
  /** Options the plug-in understands, for the command line and configuration files. */
  readonly options: z.ZodType;
  /** Options that a preset sets where they are not given: "paper" as published, "released" as the authors' code has it. */
  readonly presets?: Readonly<Partial<Record<"paper" | "released", Readonly<Record<string, unknown>>>>>;
  register(container: DependencyContainer): void;
}

/** A container of its own, so that two runs in one process do not share registrations. */
export function createContainer(): DependencyContainer {
  return rootContainer.createChildContainer();
}

/** Everything registered for a kind, in order of registration. */
export function registered<K extends PluginKind>(container: DependencyContainer, kind: K): PluginKinds[K][] {
  return container.isRegistered(TOKENS[kind]) ? container.resolveAll(TOKENS[kind]) : [];
}

/**
 * The plug-in of that kind and id.
 * @throws InputError listing what is registered.
 */
export function resolvePlugin<K extends PluginKind>(container: DependencyContainer, kind: K, id: string): PluginKinds[K] {
  const all = registered(container, kind);
  const found = all.find((candidate) => candidate.id === id);
  if (found !== undefined) return found;
  throw new InputError({
    where: `${kind} "${id}"`,
    got: "no plug-in of that name",
    expected: all.length === 0 ? `a registered ${kind}; none is` : `one of ${all.map((candidate) => candidate.id).join(", ")}`,
  });
}
