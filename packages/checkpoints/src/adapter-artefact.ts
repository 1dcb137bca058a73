import { readHostTensor, type HostTensor, type NamedHostTensors } from "@atlas-tv/core";
import { z } from "zod";
import { check, FORMAT_VERSION, jsonField, openArtefact, sha256Schema } from "./artefact.js";
import { requireFinite } from "./block-matching.js";
import type { ByteSource } from "./byte-source.js";
import type { HashedFile } from "./composition-artefact.js";
import { FORMATS } from "./file-kind.js";
import { encodeSafetensors } from "./safetensors-writer.js";

const metadataSchema = z.object({
  adapter: z.string().min(1),
  base: jsonField(z.strictObject({ name: z.string(), sha256: sha256Schema })),
  composition: sha256Schema.optional(),
  head: sha256Schema,
});

/** A fitted classifier on features, and what it belongs to: `adapter.safetensors`. */
export interface AdapterArtefact {
  /** Id of the adapter: "tip", "lpp", yours. */
  readonly adapter: string;
  /** What the adapter restores itself from. */
  readonly state: NamedHostTensors;
  readonly base: HashedFile;
  /** SHA-256 of the `composition.safetensors` whose features it classifies; null: the pre-trained model's. */
  readonly composition: string | null;
  /** SHA-256 of the head's classes and weights, which it builds on. */
  readonly head: string;
}

/** `adapter.safetensors` as chunks. @throws InputError when a value is not finite. */
export function encodeAdapter({ adapter, state, base, composition, head }: AdapterArtefact, where = "adapter"): AsyncGenerator<Uint8Array> {
  for (const [name, tensor] of state) requireFinite(tensor, `${where}: tensor "${name}"`, "fit it again with a lower learning rate");
  return encodeSafetensors(new Map(state), {
    format: FORMATS.adapter,
    version: String(FORMAT_VERSION),
    adapter,
    base: JSON.stringify({ name: base.name, sha256: base.sha256 }),
    ...(composition === null ? {} : { composition }),
    head,
  });
}

/** @throws InputError when it is another kind of file, damaged, of another version, or holds NaN. */
export async function decodeAdapter(source: ByteSource, where: string): Promise<AdapterArtefact> {
  const file = await openArtefact(source, where, FORMATS.adapter);
  const { composition = null, ...rest } = check(metadataSchema, file.metadata, where, FORMATS.adapter);
  const state = new Map<string, HostTensor>();
  for (const [name, stored] of file.tensors) {
    const tensor = await readHostTensor(stored, `${name} of ${where}`);
    requireFinite(tensor, `${where}: tensor "${name}"`, "fit it again");
    state.set(name, tensor);
  }
  return { ...rest, composition, state };
}
