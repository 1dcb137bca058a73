import { InputError, type ErrorFacts } from "@atlas-tv/core";

/** The ways in which a safetensors file can be wrong. */
export type SafetensorsFault =
  /** Fewer bytes than the header says, or not even the eight that hold its length. */
  | "truncated"
  /** The header's length goes past the end of the file. */
  | "header-longer-than-file"
  /** The header's length is over `MAX_HEADER_BYTES`, or it holds more objects or values than any model has tensors. */
  | "header-over-limit"
  /** The header is not UTF-8. */
  | "header-not-utf8"
  /** The header is not one JSON object that starts with its first byte. */
  | "header-not-json-object"
  /** A name occurs twice in one JSON object. */
  | "duplicate-name"
  /** `__metadata__` is not an object of strings. */
  | "bad-metadata"
  /** A tensor's entry is not an object of `dtype`, `shape` and `data_offsets`. */
  | "bad-entry"
  /** An element type that this package does not read. */
  | "unknown-dtype"
  /** An extent is negative, not whole, or too large to address. */
  | "bad-shape"
  /** Offsets are not two whole numbers from 0, the smaller one first. */
  | "bad-offsets"
  /** The length of a tensor's data is not what its shape and element type need. */
  | "size-mismatch"
  /** A tensor's data begins before that of another has ended. */
  | "overlapping-offsets"
  /** Bytes between two tensors belong to neither. */
  | "hole"
  /** A tensor lies past the end of the file, and not because the file was cut. */
  | "past-the-end"
  /** Bytes after the last tensor. */
  | "trailing-bytes";

/** A safetensors file that breaks the rules of the format. */
export class SafetensorsError extends InputError {
  constructor(readonly fault: SafetensorsFault, facts: ErrorFacts, options?: ErrorOptions) {
    super(facts, options);
  }
}
