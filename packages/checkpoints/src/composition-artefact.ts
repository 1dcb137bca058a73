import { InputError, readHostTensor, sizeOf, widen, type HostTensor, type NamedArrays } from "@atlas-tv/core";
import { z } from "zod";
import { check, FORMAT_VERSION, jsonField, openArtefact, seedSchema, sha256Schema } from "./artefact.js";
import { requireFinite } from "./block-matching.js";
import type { ByteSource } from "./byte-source.js";
import { FORMATS } from "./file-kind.js";
import { encodeSafetensors } from "./safetensors-writer.js";

const hashedFile = z.strictObject({ name: z.string(), sha256: sha256Schema });

const metadataSchema = z.object({
  composition: z.string().min(1),
  mode: z.enum(["standard", "linearised"]),
  blocks: jsonField(z.array(z.string()).min(1)),
  task_vectors: jsonField(z.array(hashedFile)),
  base: jsonField(hashedFile),
  model: jsonField(z.json()),
  seed: jsonField(seedSchema),
  mask_seed: jsonField(seedSchema).optional(),
  composition_options: jsonField(z.record(z.string(), z.json())).optional(),
});

/** A file a composition was learned from. */
export interface HashedFile {
  readonly name: string;
  readonly sha256: string;
}

/** Learned coefficients, and all that is needed to apply them again: `composition.safetensors`. */
export interface CompositionArtefact {
  /** By the names of the composition's coefficient tensors; an objective's own parameters may lie beside them. */
  readonly coefficients: NamedArrays;
  /** By the same names. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Id of the composition: "isotropic", "blockwise", yours. */
  readonly composition: string;
  readonly mode: "standard" | "linearised";
  /** Names of the m blocks, in the order of the coefficients' columns. */
  readonly blocks: readonly string[];
  /** The n task vectors, in the order of the coefficients' rows. */
  readonly taskVectors: readonly HashedFile[];
  readonly base: HashedFile;
  /** The model's configuration, as JSON. */
  readonly model: z.infer<ReturnType<typeof z.json>>;
  readonly seed: number | string;
  /** Of whatever the composition draws at random: the partitions of ×K. */
  readonly maskSeed?: number | string;
  /** Options of the plug-in that the composition comes from. */
  readonly compositionOptions?: Readonly<Record<string, z.infer<ReturnType<typeof z.json>>>>;
}

const FINITE_NEXT = "learn it again with a lower learning rate";

function coefficientTensors({ coefficients, shapes }: CompositionArtefact, where: string): Map<string, HostTensor> {
  const tensors = new Map<string, HostTensor>();
  for (const [name, data] of Object.entries(coefficients)) {
    const shape = shapes[name];
    if (shape === undefined || sizeOf(shape) !== data.length) {
      throw new InputError({
        where: `${where}: coefficients "${name}"`,
        got: `${data.length} values for ${shape === undefined ? "no shape" : `shape [${shape.join(", ")}]`}`,
        expected: "as many values as the shape has",
      });
    }
    const tensor = { dtype: "F32", shape, data } as const;
    requireFinite(tensor, `${where}: coefficients "${name}"`, FINITE_NEXT);
    tensors.set(name, tensor);
  }
  return tensors;
}

/** `composition.safetensors` as chunks. @throws InputError when the artefact is not sound. */
export function encodeComposition(artefact: CompositionArtefact, where = "composition"): AsyncGenerator<Uint8Array> {
  const metadata = {
    composition: artefact.composition,
    mode: artefact.mode,
    blocks: JSON.stringify(artefact.blocks),
    task_vectors: JSON.stringify(artefact.taskVectors.map(({ name, sha256 }) => ({ name, sha256 }))),
    base: JSON.stringify({ name: artefact.base.name, sha256: artefact.base.sha256 }),
    model: JSON.stringify(artefact.model),
    seed: JSON.stringify(artefact.seed),
    ...(artefact.maskSeed === undefined ? {} : { mask_seed: JSON.stringify(artefact.maskSeed) }),
    ...(artefact.compositionOptions === undefined ? {} : { composition_options: JSON.stringify(artefact.compositionOptions) }),
  };
  check(metadataSchema, metadata, where, FORMATS.composition);
  const format = { format: FORMATS.composition, version: String(FORMAT_VERSION) };
  return encodeSafetensors(coefficientTensors(artefact, where), { ...metadata, ...format });
}

/**
 * Reads a `composition.safetensors`.
 * @throws InputError when it is another kind of file, damaged, of another version, or holds NaN.
 */
export async function decodeComposition(source: ByteSource, where: string): Promise<CompositionArtefact> {
  const file = await openArtefact(source, where, FORMATS.composition);
  const {
    task_vectors: taskVectors, mask_seed: maskSeed, composition_options: compositionOptions, ...rest
  } = check(metadataSchema, file.metadata, where, FORMATS.composition);
  const coefficients: [string, Float32Array][] = [];
  const shapes: [string, readonly number[]][] = [];
  for (const [name, stored] of file.tensors) {
    const tensor = await readHostTensor(stored, `${name} of ${where}`);
    requireFinite(tensor, `${where}: coefficients "${name}"`, FINITE_NEXT);
    coefficients.push([name, widen(tensor)]);
    shapes.push([name, tensor.shape]);
  }
  return {
    ...rest,
    taskVectors,
    ...(maskSeed === undefined ? {} : { maskSeed }),
    ...(compositionOptions === undefined ? {} : { compositionOptions }),
    coefficients: Object.fromEntries(coefficients),
    shapes: Object.fromEntries(shapes),
  };
}

/**
 * Checks that a composition is applied to what it was learned from.
 * @param given the base model, task vectors and blocks at hand.
 * @throws InputError that names the first difference.
 */
export function requireSameSources(
  artefact: CompositionArtefact,
  given: { readonly base: HashedFile; readonly taskVectors: readonly HashedFile[]; readonly blocks: readonly string[] },
  where: string,
): void {
  const differ = (what: string, got: string, expected: string): InputError =>
    new InputError({ where: `${where}: ${what}`, got, expected, next: "give the files that this composition was learned from" });
  const hashed = ({ name, sha256 }: HashedFile): string => `"${name}" with SHA-256 ${sha256}`;
  if (given.base.sha256 !== artefact.base.sha256) throw differ("base model", hashed(given.base), hashed(artefact.base));
  if (given.taskVectors.length !== artefact.taskVectors.length) {
    throw differ("task vectors", String(given.taskVectors.length), String(artefact.taskVectors.length));
  }
  given.taskVectors.forEach((vector, i) => {
    const learned = artefact.taskVectors[i]!;
    if (vector.sha256 !== learned.sha256) throw differ(`task vector ${i + 1}`, hashed(vector), hashed(learned));
  });
  const at = artefact.blocks.findIndex((name, i) => name !== given.blocks[i]);
  const index = at < 0 ? artefact.blocks.length : at;
  const [got, expected] = [given.blocks[index], artefact.blocks[index]];
  if (got === expected) return;
  const shown = (name: string | undefined): string => (name === undefined ? "no further block" : `"${name}"`);
  throw differ(`block ${index + 1}`, shown(got), shown(expected));
}
