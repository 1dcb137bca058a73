import * as tf from "@tensorflow/tfjs-core";
import { expect } from "vitest";
import type { ClipConfigInput } from "@atlas-tv/clip";
import { readFloat32, readHostTensor, readIntegers } from "../src/state-dict.js";
import type {
  ClassificationHead, ElementType, EncoderInputs, HostTensor, NamedHostTensors, StateDict, StoredTensor,
} from "../src/index.js";
import { fixtureBytes, recordDeviation } from "./fixture-bytes.js";

export { fixtureExists, fixturePath } from "./fixture-bytes.js";

/** A fixture's JSON document. */
export function fixtureJson(file: "checkpoints/open_clip_config.json"): ClipConfigInput;
export function fixtureJson<T>(file: string): T;
export function fixtureJson<T>(file: string): T {
  return JSON.parse(new TextDecoder().decode(fixtureBytes(file))) as T;
}

/** The tensors of a safetensors fixture, in file order. A minimal reader for trusted files. */
export function fixtureTensors(file: string): StateDict {
  const bytes = fixtureBytes(file);
  const headerLength = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerLength))) as
    Record<string, { dtype: ElementType; shape: number[]; data_offsets: [number, number] }>;
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__");
  entries.sort(([, a], [, b]) => a.data_offsets[0] - b.data_offsets[0]);
  return new Map(entries.map(([name, { dtype, shape, data_offsets: [from, to] }]): [string, StoredTensor] => {
    const start = 8 + headerLength;
    return [name, { dtype, shape, bytes: () => Promise.resolve(Uint8Array.from(bytes.subarray(start + from, start + to))) }];
  }));
}

/** One tensor of a state dict; fails with the name when it is missing. */
export function tensorOf(tensors: StateDict, name: string): StoredTensor {
  const found = tensors.get(name);
  if (found === undefined) throw new Error(`fixture has no tensor "${name}"`);
  return found;
}

/** The values of a floating-point fixture tensor. */
export function floats(tensors: StateDict, name: string): Promise<Float32Array> {
  return readFloat32(tensorOf(tensors, name), name);
}

/** The values of an integer fixture tensor. */
export async function integers(tensors: StateDict, name: string): Promise<Int32Array> {
  return Int32Array.from(await readIntegers(tensorOf(tensors, name), name));
}

/** Every tensor of a state dict in host memory. */
export async function hostTensors(tensors: StateDict): Promise<NamedHostTensors> {
  const host = new Map<string, HostTensor>();
  for (const [name, tensor] of tensors) host.set(name, await readHostTensor(tensor, name));
  return host;
}

/** The checkpoint `checkpoints/<name>.safetensors` in host memory: zeroshot, finetuned_0 … */
export function fixtureCheckpoint(name: string): Promise<NamedHostTensors> {
  return hostTensors(fixtureTensors(`checkpoints/${name}.safetensors`));
}

/** Numbers of the checkpoint folder: how many task vectors and heads there are. */
export function checkpointFacts(): { vectors: number; heads: number; names: string[]; shapes: number[][] } {
  const facts = fixtureJson<{
    n_task_vectors: number;
    classes_per_head: number[];
    param_names_in_order: string[];
    param_shapes_in_order: number[][];
  }>("checkpoints/expected.json");
  return {
    vectors: facts.n_task_vectors,
    heads: facts.classes_per_head.length,
    names: facts.param_names_in_order.map((name) => name.replace(/^model\./, "")),
    shapes: facts.param_shapes_in_order,
  };
}

/** Head `head_<index>` of the checkpoint folder. */
export async function fixtureHead(index: number): Promise<ClassificationHead> {
  const tensors = fixtureTensors(`checkpoints/head_${index}.safetensors`);
  const [classes = 0, width = 0] = tensorOf(tensors, "weight").shape;
  const classNames = Array.from({ length: classes }, (_, label) => `class ${label}`);
  return { name: `head_${index}`, classNames, weight: await floats(tensors, "weight"), width };
}

/** Images `(count, H, W, 3)` from `from` to `to` of the inputs folder; stored as (count, 3, H, W). */
export async function fixtureImages(from = 0, to?: number): Promise<EncoderInputs> {
  return imagesOf(fixtureTensors("inputs/inputs.safetensors"), "images", from, to);
}

/** A stored image tensor (count, C, H, W) as encoder inputs `(count, H, W, C)`. */
export async function imagesOf(tensors: StateDict, name: string, from = 0, to?: number): Promise<EncoderInputs> {
  const [count = 0, channels = 0, height = 0, width = 0] = tensorOf(tensors, name).shape;
  const planar = await floats(tensors, name);
  const end = to ?? count;
  const pixels = height * width;
  const data = new Float32Array((end - from) * pixels * channels);
  let next = 0;
  for (let image = from; image < end; image++) {
    for (let pixel = 0; pixel < pixels; pixel++) {
      for (let channel = 0; channel < channels; channel++) data[next++] = planar[(image * channels + channel) * pixels + pixel]!;
    }
  }
  return { data, shape: [end - from, height, width, channels] };
}

/** How many batches of `fixtureBatchSize` the inputs make. */
export function fixtureBatchCount(): number {
  return fixtureJson<{ n_batches: number }>("inputs/expected.json").n_batches;
}

/** Labels of head `index` for images `from` to `to`. */
export async function fixtureLabels(index: number, from = 0, to?: number): Promise<Int32Array> {
  return (await integers(fixtureTensors("inputs/inputs.safetensors"), `labels_${index}`)).slice(from, to);
}

export function fixtureBatchSize(): number {
  return fixtureJson<{ batch_size: number }>("inputs/expected.json").batch_size;
}

type Column = "f32" | "loose";
type Tolerance = number | "exact" | null;

/** tfjs backends whose sums may run in another order: they are held to the loose column. */
const LOOSE_BACKENDS: readonly string[] = ["tensorflow", "webgl", "webgpu"];

/** The column for numbers of the tfjs backend that is active now. */
export function activeColumn(): Column {
  return LOOSE_BACKENDS.includes(tf.getBackend()) ? "loose" : "f32";
}

/**
 * The tolerance of an item of tolerances.json, e.g. "encoder.features"; 0 where it says exact.
 * @param run for items that list one per run, e.g. ("training.coefficients_absolute", "fewshot_blockwise").
 */
export function tolerance(item: string, run?: string, column: Column = activeColumn()): number {
  const all = fixtureJson<Record<string, Record<string, Tolerance | Record<Column, Tolerance>>>>("tolerances.json");
  const entry = all[item];
  const columns = run === undefined ? entry : (entry?.[run] as Record<string, Tolerance> | undefined);
  const value = columns?.[column];
  if (value === "exact") return 0;
  if (typeof value !== "number") throw new Error(`tolerances.json has no ${column} tolerance for ${item} ${run ?? ""}`);
  return value;
}

/** max|a − b| / max|b|, the fixtures' measure; max|a − b| where b is all zero. NaN when either holds one. */
export function relativeError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) throw new Error(`${actual.length} values, expected ${expected.length}`);
  let difference = 0;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const gap = Math.abs(actual[i]! - expected[i]!);
    if (Number.isNaN(gap)) return NaN;
    difference = Math.max(difference, gap);
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return largest === 0 ? difference : difference / largest;
}

/** Throws unless `relativeError(actual, expected) <= limit`. */
export function closeTo(
  actual: ArrayLike<number> | number,
  expected: ArrayLike<number> | number,
  limit: number,
  what = "values",
): void {
  const list = (values: ArrayLike<number> | number): ArrayLike<number> => (typeof values === "number" ? [values] : values);
  requireBelow(relativeError(list(actual), list(expected)), limit, what);
}

/** Throws unless an error that was measured is within its limit; NaN is not. */
export function requireBelow(error: number, limit: number, what: string): void {
  recordDeviation({ test: expect.getState().currentTestName ?? "", what, error, limit });
  if (!(error <= limit)) throw new Error(`${what}: error ${error} exceeds ${limit}`);
}
