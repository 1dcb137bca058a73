import { InputError, type ErrorFacts } from "@atlas-tv/core";

/** The ways in which a pickle can be wrong, or more than we read. */
export type PickleFault =
  /** It ends before its STOP. */
  | "truncated"
  /** An operation takes more from the stack than there is, or something else than it can work on. */
  | "bad-stack"
  /** A byte that is no operation, or one that checkpoints have no use for. */
  | "unknown-operation"
  /** A memo entry is read that was never written. */
  | "bad-memo"
  /** A text that is not UTF-8. */
  | "not-utf8"
  /** A number that is none, or longer than any that a checkpoint holds. */
  | "bad-number"
  /** One dict has a key twice. */
  | "duplicate-key"
  /** A function is named that starts programs, runs code or opens files. */
  | "forbidden-global"
  /** Something is called that is neither a class nor a function. */
  | "bad-call"
  /** More bytes, operations or objects than any checkpoint needs. */
  | "over-limit";

/** A pickle that is damaged, or made to do harm. */
export class PickleError extends InputError {
  constructor(readonly fault: PickleFault, facts: ErrorFacts, options?: ErrorOptions) {
    super(facts, options);
  }
}
