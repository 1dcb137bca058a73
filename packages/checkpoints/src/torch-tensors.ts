/**
 * Tensors as PyTorch pickles them: a call of one of its rebuild functions with a reference to a storage, an offset, a
 * shape and strides (`torch/_utils.py` and `torch/serialization.py` define the arguments).
 */
import { ELEMENT_BYTES, sizeOf, type ElementType } from "@atlas-tv/core";
import { PersistentReference, PickleGlobal, PickleRecord, type PickleValue } from "./pickle-values.js";
import { endOf, type TensorLayout } from "./strided-tensor.js";
import { TorchError, type TorchFault } from "./torch-error.js";

/** PyTorch's own limit on the number of axes. */
const MAX_AXES = 64;

/** A tensor that repeats elements of its storage (stride 0) may not be larger than this: a file of 1 kB could ask for any memory. */
const MAX_EXPANDED_BYTES = 64 * 1024 * 1024;

const DAMAGED = "the file is damaged: get it again, or save it again";

/** Element types by the classes of storages. */
const STORAGES: Readonly<Record<string, ElementType>> = {
  DoubleStorage: "F64", FloatStorage: "F32", HalfStorage: "F16", BFloat16Storage: "BF16",
  LongStorage: "I64", IntStorage: "I32", ShortStorage: "I16", CharStorage: "I8", ByteStorage: "U8", BoolStorage: "BOOL",
  UntypedStorage: "U8",
};

/** Element types by `torch.<name>`, which tensors of newer types carry themselves. */
const DTYPES: Readonly<Record<string, ElementType>> = {
  float64: "F64", double: "F64", float32: "F32", float: "F32", float16: "F16", half: "F16", bfloat16: "BF16",
  int64: "I64", long: "I64", int32: "I32", int: "I32", int16: "I16", short: "I16", int8: "I8", uint8: "U8", bool: "BOOL",
  uint64: "U64", uint32: "U32", uint16: "U16",
};

/** Functions that give the tensor they are handed, with something set on it. */
const WRAPPERS: ReadonlySet<string> = new Set([
  "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer",
]);

const REBUILD = "torch._utils._rebuild_tensor";
const REBUILD_V2 = "torch._utils._rebuild_tensor_v2";
const REBUILD_V3 = "torch._utils._rebuild_tensor_v3";

/** A subclass of tensor: function, class, arguments, state. */
const FROM_TYPE = "torch._tensor._rebuild_from_type_v2";

/** The part of a file that tensors lie in. */
export interface StorageReference {
  readonly key: string;
  /** Of one element, as the storage counts them. */
  readonly width: number;
  /** In elements. */
  readonly length: number;
}

/** A tensor that was found in a pickle. */
export interface TorchTensor {
  readonly storage: StorageReference;
  readonly layout: TensorLayout;
}

function fail(fault: TorchFault, where: string, got: string, expected: string): TorchError {
  return new TorchError(fault, { where, got, expected, next: DAMAGED });
}

function isCount(value: PickleValue | undefined): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isCounts(value: PickleValue | undefined): value is number[] {
  return Array.isArray(value) && value.every(isCount);
}

function shown(value: PickleValue | undefined): string {
  const plain = Array.isArray(value) ? value.slice(0, 8).map((item) => (typeof item === "object" ? "…" : String(item))).join(", ") : null;
  return plain === null ? String(typeof value === "object" ? "an object" : value).slice(0, 40) : `[${plain}${(value as []).length > 8 ? ", …" : ""}]`;
}

interface Storage extends StorageReference {
  readonly dtype: ElementType;
  /** Of a view into the storage, in elements; only the oldest files have them. */
  readonly viewOffset: number;
}

/** `("storage", class, key, device, length)`, followed in old files by a view or None. The device plays no part. */
function storageOf(value: PickleValue | undefined, where: string): Storage {
  const parts = value instanceof PersistentReference ? value.id : null;
  if (!Array.isArray(parts) || parts[0] !== "storage") throw fail("bad-storage", where, "a tensor without a storage", "a reference to a storage");
  const [, kind, key, , length, view = null] = parts;
  if (!(kind instanceof PickleGlobal) || !/^torch(\.|$)/.test(kind.module)) throw fail("bad-storage", where, "a storage of no class of PyTorch's", "torch.FloatStorage and the like");
  const dtype = Object.hasOwn(STORAGES, kind.name) ? STORAGES[kind.name]! : null;
  if (dtype === null) throw unknownType(where, kind.path);
  if (typeof key !== "string" || key.length > 100 || !isCount(length)) throw fail("bad-storage", where, `a storage with key ${shown(key)} and length ${shown(length)}`, "a name and a number of elements");
  const viewOffset = Array.isArray(view) ? view[1] : 0;
  if (!isCount(viewOffset)) throw fail("bad-storage", where, `a view at ${shown(viewOffset)}`, "a number of elements");
  return { key, length, dtype, width: ELEMENT_BYTES[dtype], viewOffset };
}

/**
 * The storage that something refers to.
 * @throws TorchError when it is no storage.
 */
export function storageReference(value: PersistentReference, where: string): StorageReference {
  const { key, width, length } = storageOf(value, where);
  return { key, width, length };
}

function unknownType(where: string, name: string): TorchError {
  return new TorchError("unknown-dtype", {
    where,
    got: `elements of type ${name.slice(0, 80)}, which we do not read`,
    expected: [...new Set(Object.values(DTYPES))].join(", "),
    next: "convert the tensor to float32, float16 or bfloat16 in PyTorch and save it again",
  });
}

function checkBounds(layout: TensorLayout, storage: Storage, where: string): void {
  const { shape, strides, dtype } = layout;
  const width = ELEMENT_BYTES[dtype];
  const bytes = sizeOf(shape) * width;
  if (!Number.isSafeInteger(bytes)) throw fail("bad-tensor", where, `shape ${shown([...shape])}`, "a size that can be addressed");
  const end = endOf(layout);
  const limit = (storage.length * storage.width) / width;
  if (!(end <= limit)) {
    throw fail("outside-storage", where, `elements up to ${end} (shape ${shown([...shape])}, strides ${shown([...strides])}, offset ${layout.offset})`, `at most the ${limit} elements of storage "${storage.key}"`);
  }
  if (bytes > storage.length * storage.width && bytes > MAX_EXPANDED_BYTES) {
    throw fail("expanded", where, `${bytes} bytes that repeat a storage of ${storage.length * storage.width}`, `at most ${MAX_EXPANDED_BYTES} bytes`);
  }
}

function rebuilt(args: readonly PickleValue[], dtype: ElementType | null, where: string): TorchTensor {
  const [reference, start, shape, strides] = args;
  const storage = storageOf(reference, where);
  const sound = isCount(start) && isCounts(shape) && isCounts(strides) && shape.length === strides.length && shape.length <= MAX_AXES;
  if (!sound) {
    throw fail("bad-tensor", where, `offset ${shown(start)}, shape ${shown(shape)}, strides ${shown(strides)}`, "whole numbers from 0, a stride for each extent");
  }
  const layout = { dtype: dtype ?? storage.dtype, shape, strides, offset: start + storage.viewOffset };
  checkBounds(layout, storage, where);
  const { key, width, length } = storage;
  return { storage: { key, width, length }, layout };
}

function dtypeOf(value: PickleValue | undefined, where: string): ElementType {
  const name = value instanceof PickleGlobal && value.module === "torch" ? value.name : shown(value);
  if (Object.hasOwn(DTYPES, name)) return DTYPES[name]!;
  throw unknownType(where, name);
}

/**
 * The tensor that a value stands for; null for anything else.
 * @param where file and name of the tensor, for messages.
 * @throws TorchError when it is a tensor that cannot be right.
 */
export function torchTensor(value: PickleValue, where: string): TorchTensor | null {
  if (!(value instanceof PickleRecord)) return null;
  const { path, args } = value;
  if (path === REBUILD || path === REBUILD_V2) return rebuilt(args, null, where);
  if (path === REBUILD_V3) return rebuilt(args, dtypeOf(args[6], where), where);
  if (path !== null && WRAPPERS.has(path)) return unwrapped(args[0], where);
  if (path === FROM_TYPE && args[0] instanceof PickleGlobal && Array.isArray(args[2])) {
    return unwrapped(new PickleRecord(args[0], args[2]), where);
  }
  return null;
}

/** The tensor inside a parameter, which is no parameter itself: nesting them could not end otherwise. */
function unwrapped(value: PickleValue | undefined, where: string): TorchTensor | null {
  if (!(value instanceof PickleRecord)) return null;
  if (value.path !== null && WRAPPERS.has(value.path)) throw fail("bad-tensor", where, "a parameter made of a parameter", "a parameter made of a tensor");
  return value.path === FROM_TYPE ? null : torchTensor(value, where);
}
