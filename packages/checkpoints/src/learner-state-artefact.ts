import {
  InputError, readFloat32,
  type EpochRecord, type HostTensor, type LearnerState, type NamedArrays, type StateDict,
} from "@atlas-tv/core";
import { z } from "zod";
import { check, FORMAT_VERSION, jsonField, openArtefact } from "./artefact.js";
import type { ByteSource } from "./byte-source.js";
import { FORMATS } from "./file-kind.js";
import { encodeSafetensors } from "./safetensors-writer.js";

/** Numbers that JSON does not have; metrics may be any of them. */
const SPECIAL = { NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity, "-0": -0 } as const;

const specialName = z.enum(["NaN", "Infinity", "-Infinity", "-0"]);

/** A double that survives JSON bit for bit. */
const exactNumber = z.union([z.number(), specialName.transform((name) => SPECIAL[name])]);

function exact(value: number): number | string {
  if (Object.is(value, -0)) return "-0";
  return Number.isFinite(value) ? value : String(value);
}

const count = z.int().nonnegative();

const recordSchema = z.strictObject({
  epoch: count,
  step: count,
  loss: exactNumber,
  metrics: z.record(z.string(), exactNumber),
  selected: z.boolean(),
});

const metadataSchema = z.object({
  state: jsonField(z.strictObject({
    epoch: count,
    step: count,
    count,
    best: recordSchema.nullable(),
    history: z.array(recordSchema),
  })),
  options_hash: z.string(),
});

/** A learner's state, and the options it belongs to: `state.safetensors`. */
export interface SavedState {
  readonly state: LearnerState;
  /** `hashJson` of the run's options: a run is continued with the options it was started with. */
  readonly optionsHash: string;
}

/** Prefixes of the tensors' names. */
const GROUP = { values: "values.", first: "first_moments.", second: "second_moments.", best: "best." } as const;

function exactRecord({ epoch, step, loss, metrics, selected }: EpochRecord): unknown {
  const entries = Object.entries(metrics).map(([name, value]) => [name, exact(value)]);
  return { epoch, step, loss: exact(loss), metrics: Object.fromEntries(entries) as unknown, selected };
}

/** `state.safetensors` as chunks: float32 arrays bit for bit, numbers as JSON doubles. */
export function encodeState({ state, optionsHash }: SavedState): AsyncGenerator<Uint8Array> {
  const { optimiser, best } = state;
  const tensors = new Map<string, HostTensor>();
  const add = (prefix: string, arrays: NamedArrays): void => {
    for (const [name, data] of Object.entries(arrays)) tensors.set(prefix + name, { dtype: "F32", shape: [data.length], data });
  };
  add(GROUP.values, state.values);
  add(GROUP.first, optimiser.firstMoments);
  add(GROUP.second, optimiser.secondMoments);
  if (best !== null) add(GROUP.best, best.values);
  return encodeSafetensors(tensors, {
    format: FORMATS.state,
    version: String(FORMAT_VERSION),
    options_hash: optionsHash,
    state: JSON.stringify({
      epoch: state.epoch,
      step: state.step,
      count: optimiser.count,
      best: best === null ? null : exactRecord(best.record),
      history: state.history.map(exactRecord),
    }),
  });
}

async function readGroup(tensors: StateDict, prefix: string): Promise<Record<string, Float32Array>> {
  const arrays: [string, Float32Array][] = [];
  for (const [name, tensor] of tensors) {
    if (name.startsWith(prefix)) arrays.push([name.slice(prefix.length), await readFloat32(tensor, name)]);
  }
  return Object.fromEntries(arrays);
}

function requireSameSizes(values: NamedArrays, moments: NamedArrays, where: string, group: string): void {
  const sizes = (arrays: NamedArrays): string => Object.keys(arrays).map((name) => `${name}[${arrays[name]!.length}]`).join(", ");
  if (sizes(values) === sizes(moments)) return;
  throw new InputError({ where: `${where}: tensors ${group}*`, got: sizes(moments) || "none", expected: sizes(values) });
}

/** @throws InputError when it is another kind of file, or not all of a state. */
export async function decodeState(source: ByteSource, where: string): Promise<SavedState> {
  const file = await openArtefact(source, where, FORMATS.state);
  const { state: saved, options_hash: optionsHash } = check(metadataSchema, file.metadata, where, FORMATS.state);
  const values = await readGroup(file.tensors, GROUP.values);
  const firstMoments = await readGroup(file.tensors, GROUP.first);
  const secondMoments = await readGroup(file.tensors, GROUP.second);
  const best = saved.best === null ? null : { values: await readGroup(file.tensors, GROUP.best), record: saved.best };
  requireSameSizes(values, firstMoments, where, GROUP.first);
  requireSameSizes(values, secondMoments, where, GROUP.second);
  if (best !== null) requireSameSizes(values, best.values, where, GROUP.best);
  const { epoch, step, count: steps, history } = saved;
  return { optionsHash, state: { epoch, step, values, optimiser: { count: steps, firstMoments, secondMoments }, best, history } };
}
