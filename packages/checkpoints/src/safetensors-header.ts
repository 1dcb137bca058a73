/**
 * The header of a safetensors file. The specification is the README of the format's repository
 * (huggingface/safetensors): eight bytes with the header's length, a JSON object, then the data of all tensors
 * without holes.
 */
import { ELEMENT_BYTES, type ElementType } from "@atlas-tv/core";
import { JsonLimitError, parseBoundedJson } from "./bounded-json.js";
import { readJsonNames } from "./json-names.js";
import { SafetensorsError } from "./safetensors-error.js";

/** Bytes before the header: its length, little-endian. */
export const LENGTH_BYTES = 8;

/**
 * Against files made to exhaust a parser: the header of 100,000 tensors. The format itself allows 100,000,000 bytes, which no
 * checkpoint needs and which would take more than 200 MB to parse.
 */
export const MAX_HEADER_BYTES = 10_000_000;

export const METADATA_NAME = "__metadata__";

const OPENING_BRACE = 0x7b;

export interface TensorEntry {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  /** From the start of the data, in bytes; `end` is one past the last. */
  readonly begin: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  /** In the order of the header. */
  readonly entries: ReadonlyMap<string, TensorEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

const DAMAGED = "the file is damaged or incomplete: get it again, or write it again";

/**
 * The header's length from the first eight bytes.
 * @param bytes the beginning of the file, at least what there is of its first eight bytes.
 * @throws SafetensorsError truncated, header-over-limit, header-longer-than-file.
 */
export function parseHeaderLength(bytes: Uint8Array, fileSize: number, where: string): number {
  if (fileSize < LENGTH_BYTES || bytes.byteLength < LENGTH_BYTES) {
    throw new SafetensorsError("truncated", {
      where,
      got: fileSize === 0 ? "an empty file" : `a file of ${fileSize} bytes`,
      expected: `a safetensors file, which begins with the ${LENGTH_BYTES} bytes of its header's length`,
      next: DAMAGED,
    });
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw new SafetensorsError("header-over-limit", {
      where,
      got: `a header of ${length} bytes`,
      expected: `at most ${MAX_HEADER_BYTES} bytes`,
      next: "the file is not safetensors, or damaged: `atlas inspect` tells what it is",
    });
  }
  if (Number(length) > fileSize - LENGTH_BYTES) {
    throw new SafetensorsError("header-longer-than-file", {
      where,
      got: `a header of ${length} bytes in a file of ${fileSize} bytes`,
      expected: `at most ${fileSize - LENGTH_BYTES} bytes of header`,
      next: DAMAGED,
    });
  }
  return Number(length);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && !Object.is(value, -0) && value >= 0;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function parseHeaderJson(bytes: Uint8Array, where: string, notObject: (got: string, cause: unknown) => Error): ReturnType<typeof parseBoundedJson> {
  try {
    return parseBoundedJson(bytes);
  } catch (cause) {
    if (cause instanceof JsonLimitError) {
      const facts = { where, got: `a header with ${cause.message}`, expected: "the tensors of a model", next: DAMAGED };
      throw new SafetensorsError("header-over-limit", facts, { cause });
    }
    if (cause instanceof SyntaxError) throw notObject("a header that is not JSON", cause);
    const facts = { where, got: "a header that is not UTF-8", expected: "a JSON object in UTF-8", next: DAMAGED };
    throw new SafetensorsError("header-not-utf8", facts, { cause });
  }
}

function parseObject(bytes: Uint8Array, where: string): { object: Record<string, unknown>; names: readonly string[] } {
  const notObject = (got: string, cause?: unknown): SafetensorsError => {
    const facts = { where, got, expected: "a JSON object that starts with {", next: DAMAGED };
    return new SafetensorsError("header-not-json-object", facts, { cause });
  };
  if (bytes[0] !== OPENING_BRACE) throw notObject(bytes.byteLength === 0 ? "an empty header" : "a header that starts with something else");
  const { value: object, text } = parseHeaderJson(bytes, where, notObject);
  if (!isObject(object)) throw notObject("a header that is not an object");
  const { names, duplicate } = readJsonNames(text);
  if (duplicate !== null) {
    const facts = { where, got: `the name "${duplicate}" twice`, expected: "every name once", next: DAMAGED };
    throw new SafetensorsError("duplicate-name", facts);
  }
  return { object, names };
}

function parseMetadata(value: unknown, where: string): Record<string, string> {
  const bad = (got: string): SafetensorsError =>
    new SafetensorsError("bad-metadata", { where: `${where}: ${METADATA_NAME}`, got, expected: "an object of strings" });
  if (!isObject(value)) throw bad(shown(value));
  const metadata: [string, string][] = Object.entries(value).map(([name, text]) => {
    if (typeof text !== "string") throw bad(`${shown(text)} under "${name}"`);
    return [name, text];
  });
  return Object.fromEntries(metadata);
}

function parseShape(value: unknown, width: number, where: string): { shape: number[]; bytes: number } {
  const expected = "whole numbers from 0 that multiply to a size that can be addressed";
  const bad = (got: string): SafetensorsError => new SafetensorsError("bad-shape", { where, got: `shape ${got}`, expected });
  if (!Array.isArray(value)) throw bad(shown(value));
  const shape = value.map((extent: unknown) => {
    if (!isCount(extent)) throw bad(shown(value));
    return extent;
  });
  const elements = shape.includes(0) ? 0n : shape.reduce((product, extent) => product * BigInt(extent), 1n);
  const bytes = elements * BigInt(width);
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER)) throw bad(`${shown(shape)} of ${bytes} bytes`);
  return { shape, bytes: Number(bytes) };
}

function parseEntry(value: unknown, where: string): TensorEntry {
  if (!isObject(value) || !("dtype" in value && "shape" in value && "data_offsets" in value)) {
    throw new SafetensorsError("bad-entry", { where, got: shown(value), expected: "an object of dtype, shape and data_offsets" });
  }
  const { dtype, shape: extents, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !Object.hasOwn(ELEMENT_BYTES, dtype)) {
    throw new SafetensorsError("unknown-dtype", {
      where,
      got: `element type ${shown(dtype)}, which we do not read`,
      expected: `one of ${Object.keys(ELEMENT_BYTES).join(", ")}`,
      next: "convert the file to F32, F16 or BF16 with the tool that wrote it",
    });
  }
  const width = ELEMENT_BYTES[dtype as ElementType];
  const { shape, bytes } = parseShape(extents, width, where);
  const [begin, end] = Array.isArray(offsets) && offsets.length === 2 ? (offsets as unknown[]) : [];
  if (!isCount(begin) || !isCount(end) || begin > end) {
    const facts = { where, got: `data_offsets ${shown(offsets)}`, expected: "[begin, end] in bytes, begin ≤ end" };
    throw new SafetensorsError("bad-offsets", facts);
  }
  if (end - begin !== bytes) {
    throw new SafetensorsError("size-mismatch", {
      where,
      got: `${end - begin} bytes of data`,
      expected: `${bytes} bytes for ${dtype} of shape ${shown(shape)}`,
      next: DAMAGED,
    });
  }
  return { dtype: dtype as ElementType, shape, begin, end };
}

/** Tensors must fill the data from its first byte to its last, without holes or overlaps. */
function checkLayout(entries: ReadonlyMap<string, TensorEntry>, dataLength: number, where: string): void {
  const order = [...entries].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end);
  let filled = 0;
  let before = "";
  for (const [name, { begin, end }] of order) {
    const at = `${where}: tensor "${name}"`;
    if (begin < filled) {
      throw new SafetensorsError("overlapping-offsets", {
        where: at,
        got: `data from byte ${begin}, inside "${before}", which ends at ${filled}`,
        expected: "tensors that do not overlap",
        next: DAMAGED,
      });
    }
    if (begin > filled) {
      if (end > dataLength) {
        throw new SafetensorsError("past-the-end", {
          where: at, got: `data up to byte ${end}`, expected: `at most the ${dataLength} bytes of data in the file`, next: DAMAGED,
        });
      }
      throw new SafetensorsError("hole", {
        where: at,
        got: `data from byte ${begin}, with ${begin - filled} unused bytes before it`,
        expected: `data from byte ${filled}: tensors without holes between them`,
        next: DAMAGED,
      });
    }
    filled = end;
    before = name;
  }
  if (filled > dataLength) {
    const [first] = order.find(([, { end }]) => end > dataLength)!;
    throw new SafetensorsError("truncated", {
      where: `${where}: tensor "${first}"`,
      got: `${dataLength} bytes of data, ${filled - dataLength} too few`,
      expected: `${filled} bytes of data, as the header says`,
      next: DAMAGED,
    });
  }
  if (filled < dataLength) {
    throw new SafetensorsError("trailing-bytes", {
      where,
      got: `${dataLength - filled} bytes after the last tensor`,
      expected: `${filled} bytes of data, as the header says`,
      next: DAMAGED,
    });
  }
}

/**
 * Parses and checks a header.
 * @param bytes the header itself, without the length before it.
 * @param dataLength bytes of the file after the header.
 * @param where name of the file, for messages.
 * @throws SafetensorsError, one fault for each rule of the format.
 */
export function parseSafetensorsHeader(bytes: Uint8Array, dataLength: number, where: string): SafetensorsHeader {
  const { object, names } = parseObject(bytes, where);
  const entries = new Map<string, TensorEntry>();
  let metadata: Record<string, string> = {};
  for (const name of names) {
    if (name === METADATA_NAME) metadata = parseMetadata(object[name], where);
    else entries.set(name, parseEntry(object[name], `${where}: tensor "${name}"`));
  }
  checkLayout(entries, dataLength, where);
  return { entries, metadata };
}
