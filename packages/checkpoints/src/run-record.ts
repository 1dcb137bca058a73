import type { Metrics } from "@atlas-tv/core";
import { z } from "zod";
import { check, FORMAT_VERSION, parseArtefact, seedSchema, sha256Schema } from "./artefact.js";
import type { ByteSource } from "./byte-source.js";
import { FORMATS } from "./file-kind.js";

const measurement = z.strictObject({
  /** As measured. */
  raw: z.number(),
  /** max(raw, zero-shot), as the paper's few-shot tables report; null where there is no zero-shot value. */
  clamped: z.number().nullable(),
});

const measurements = z.record(z.string(), measurement);

const count = z.int().nonnegative();

/** `run.json`, version 1. docs/formats.md describes the fields. */
export const runSchema = z.strictObject({
  format: z.literal(FORMATS.run),
  schemaVersion: z.literal(FORMAT_VERSION),
  command: z.string().min(1),
  options: z.record(z.string(), z.json()),
  seed: seedSchema,
  backend: z.strictObject({ id: z.string(), device: z.string() }),
  versions: z.record(z.string(), z.string()),
  hashes: z.strictObject({
    base: sha256Schema,
    taskVectors: z.record(z.string(), sha256Schema),
    splits: sha256Schema.nullable(),
  }),
  zeroShot: z.record(z.string(), z.number()),
  epochs: z.array(z.strictObject({
    epoch: count,
    step: count,
    loss: z.number(),
    metrics: measurements,
    selected: z.boolean(),
  })),
  final: measurements,
  seconds: z.number().nonnegative(),
  peakMemoryBytes: count.nullable(),
  notes: z.array(z.string()).optional(),
  remarks: z.array(z.string()).optional(),
});

/** What happened in a run. */
export type RunRecord = Omit<z.infer<typeof runSchema>, "format" | "schemaVersion">;

export type Measurements = z.infer<typeof measurements>;

/** Each metric raw, and clamped from below by the zero-shot value of the same name. */
export function rawAndClamped(metrics: Metrics, zeroShot: Metrics): Measurements {
  return Object.fromEntries(Object.entries(metrics).map(([name, raw]) => {
    const floor = zeroShot[name];
    return [name, { raw, clamped: floor === undefined ? null : Math.max(raw, floor) }];
  }));
}

/** The text of a `run.json`. @throws InputError when a field is not as the schema says. */
export function encodeRun(record: RunRecord, where = "run.json"): string {
  const checked = check(runSchema, { format: FORMATS.run, schemaVersion: FORMAT_VERSION, ...record }, where, FORMATS.run);
  return `${JSON.stringify(checked, null, 2)}\n`;
}

/** @throws InputError when it is another kind of file, or a field is not as the schema says. */
export async function decodeRun(source: ByteSource, where: string): Promise<RunRecord> {
  const file = await parseArtefact(source, where, FORMATS.run);
  const { format: _format, schemaVersion: _version, ...record } = check(runSchema, file, where, FORMATS.run);
  return record;
}
