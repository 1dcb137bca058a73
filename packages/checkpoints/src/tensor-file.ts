import type { StateDict } from "@atlas-tv/core";
import type { FileKind } from "./file-kind.js";
import type { ModuleFacts } from "./torch-structure.js";

/** Tensors of a file, not yet read, and what the file says about itself. */
export interface TensorFile {
  /** In the order of the file, under the names that it stores. The bytes of a tensor are read each time they are asked for. */
  readonly tensors: StateDict;
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of the file. */
  readonly names: readonly string[];
}

/** A file of tensors, and what it is. */
export interface OpenedTensors extends TensorFile {
  readonly format: FileKind;
  /** What wrote it, as far as it says: "atlas", "PyTorch", the `format` of a safetensors file's metadata. */
  readonly producer: string | null;
  /** For messages: "a module src.modeling.ImageEncoder that PyTorch saved". */
  readonly description: string;
  /** Of a whole module that PyTorch saved: what it says about its architecture. Null for anything else. */
  readonly module: ModuleFacts | null;
}
