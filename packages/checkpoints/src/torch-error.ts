import { InputError, type ErrorFacts } from "@atlas-tv/core";

/** The ways in which what PyTorch saved can be wrong, once its container and its pickle have been read. */
export type TorchFault =
  /** The archive holds no `data.pkl`, or two. */
  | "no-pickle"
  /** Bytes stand in another order than little-endian. */
  | "big-endian"
  /** A version of the format that is not read. */
  | "unknown-version"
  /** A reference to something else than a storage, or one that lacks its parts. */
  | "bad-storage"
  /** A storage that the file does not hold. */
  | "missing-storage"
  /** A storage that holds more or fewer bytes than its reference says. */
  | "storage-size"
  /** An element type that is not read. */
  | "unknown-dtype"
  /** A tensor whose parts are not those of a tensor, or an extent that is negative or too large. */
  | "bad-tensor"
  /** Strides or an offset that lead out of the storage. */
  | "outside-storage"
  /** A tensor that repeats its storage until it is far larger. */
  | "expanded"
  /** Dicts or modules that contain themselves. */
  | "cycle"
  /** Deeper or more than any checkpoint. */
  | "over-limit"
  /** Two tensors with one name. */
  | "duplicate-name"
  /** No tensor at all. */
  | "no-tensors"
  /** The file ends before the storages that it announces. */
  | "truncated";

/** A file of PyTorch's that is damaged, made to do harm, or holds no tensors. */
export class TorchError extends InputError {
  constructor(readonly fault: TorchFault, facts: ErrorFacts, options?: ErrorOptions) {
    super(facts, options);
  }
}
