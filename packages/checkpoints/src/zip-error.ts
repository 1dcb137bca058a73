import { InputError, type ErrorFacts } from "@atlas-tv/core";

/** The ways in which a zip archive can be wrong, or more than we read. */
export type ZipFault =
  /** The directory at its end is missing: the file was cut, or something was put after it. */
  | "truncated"
  /** A record of the directory lacks its signature, or contradicts itself. */
  | "bad-directory"
  /** The header before an entry's data is not the one that the directory describes. */
  | "bad-entry"
  /** Two entries have one name. */
  | "duplicate-name"
  /** A name that would lead out of a folder, or that is not UTF-8. */
  | "unsafe-name"
  /** Two entries share bytes. */
  | "overlapping-entries"
  /** An entry lies outside the file. */
  | "past-the-end"
  /** An entry is encrypted, or packed in a way that is not read. */
  | "unsupported"
  /** An entry that grows beyond what it says, or beyond what weights can grow. */
  | "bomb"
  /** Packed data that cannot be unpacked. */
  | "bad-data"
  /** More entries, or a larger directory, than any checkpoint has. */
  | "over-limit";

/** A zip archive that is damaged, or made to do harm. */
export class ZipError extends InputError {
  constructor(readonly fault: ZipFault, facts: ErrorFacts, options?: ErrorOptions) {
    super(facts, options);
  }
}
