/** What all files of ours have in common: a format, a version, and content that a schema checks. */
import { InputError } from "@atlas-tv/core";
import { z } from "zod";
import type { ByteSource } from "./byte-source.js";
import { describeArtefact, sniff, type ArtefactFormat } from "./file-kind.js";
import { openSafetensors } from "./safetensors-reader.js";
import type { TensorFile } from "./tensor-file.js";

/** The version of every format below; a change of meaning is a new version. */
export const FORMAT_VERSION = 1;

export const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, "not a SHA-256 hash of 64 hexadecimal digits");

export const seedSchema = z.union([z.number(), z.string()]);

/** A field of metadata that holds JSON: the schema is for what the JSON says. */
export function jsonField<T extends z.ZodType>(schema: T) {
  const parsed = z.string().transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: "custom", message: "not JSON" });
      return z.NEVER;
    }
  });
  return parsed.pipe(schema);
}

/** @throws InputError that names the field and says what is wrong with it. */
export function check<T extends z.ZodType>(schema: T, value: unknown, where: string, format: ArtefactFormat): z.output<T> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const field = issue?.path.map(String).join(".") ?? "";
  throw new InputError({
    where: field === "" ? where : `${where}: field "${field}"`,
    got: issue?.message ?? "something else",
    expected: `${describeArtefact(format)}, version ${FORMAT_VERSION}`,
    next: "docs/formats.md describes the format",
  });
}

function requireVersion(version: unknown, where: string, format: ArtefactFormat): void {
  if (String(version) === String(FORMAT_VERSION)) return;
  throw new InputError({
    where,
    got: `${describeArtefact(format)}, version ${String(version)}`,
    expected: `version ${FORMAT_VERSION}`,
    next: "read it with the version of this package that wrote it, or a later one",
  });
}

function wrongKind(where: string, description: string, format: ArtefactFormat): InputError {
  return new InputError({ where, got: description, expected: describeArtefact(format) });
}

/** Opens a safetensors file of ours. Its metadata still has to be checked. */
export async function openArtefact(source: ByteSource, where: string, format: ArtefactFormat): Promise<TensorFile> {
  const { kind, description } = await sniff(source);
  if (kind !== format && kind !== "safetensors") throw wrongKind(where, description, format);
  const file = await openSafetensors(source, where);
  if (kind !== format) throw wrongKind(where, description, format);
  requireVersion(file.metadata["version"], where, format);
  return file;
}

/** Parses a JSON file of ours. Its fields still have to be checked. */
export async function parseArtefact(source: ByteSource, where: string, format: ArtefactFormat): Promise<unknown> {
  const { kind, description } = await sniff(source);
  if (kind !== format) throw wrongKind(where, description, format);
  const value: unknown = JSON.parse(new TextDecoder().decode(await source.read(0, source.size)));
  requireVersion((value as { schemaVersion?: unknown }).schemaVersion, where, format);
  return value;
}
