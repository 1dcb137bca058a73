/**
 * What `torch.save` wrote before it wrote zip archives: five pickles (a magic number, the protocol's version, facts about
 * the machine, the value, the storages' keys), then the storages in the order of the keys, each after its length.
 */
import type { StoredTensor } from "@atlas-tv/core";
import type { ByteSource } from "./byte-source.js";
import { PickleError } from "./pickle-error.js";
import type { PickleValue } from "./pickle-values.js";
import { stridedTensor } from "./strided-tensor.js";
import type { OpenedTensors } from "./tensor-file.js";
import { describeContent, MAX_PICKLE_BYTES, PYTORCH } from "./torch-content.js";
import { TorchError, type TorchFault } from "./torch-error.js";
import { LEGACY_MAGIC } from "./torch-signature.js";
import { torchContent, type TorchContent } from "./torch-structure.js";
import { storageReference, type StorageReference } from "./torch-tensors.js";
import { readPickle, type ReadPickle } from "./unpickler.js";

const PROTOCOL_VERSION = 1001;

/** Bytes before a storage: the number of its elements. */
const LENGTH_BYTES = 8;

/** The pickles' length is not written anywhere: so much is read first, and eight times more while that is too little. */
const FIRST_WINDOW = 256 * 1024;
const GROWTH = 8;

function fail(fault: TorchFault, where: string, got: string, expected: string, next = "get the file again, or save it again"): TorchError {
  return new TorchError(fault, { where, got, expected, next });
}

interface Pickles {
  readonly content: TorchContent;
  /** Also those of tensors that no state dict holds. */
  readonly storages: readonly StorageReference[];
  /** In the order of the file. */
  readonly keys: readonly string[];
  /** Where the storages begin. */
  readonly end: number;
}

function parse(bytes: Uint8Array, where: string): Pickles {
  let at = LEGACY_MAGIC.length;
  const nextPickle = (): ReadPickle => {
    const read = readPickle(bytes, where, at);
    at = read.end;
    return read;
  };
  const next = (): PickleValue => nextPickle().value;
  const version = next();
  if (version !== PROTOCOL_VERSION) throw fail("unknown-version", where, `version ${String(version).slice(0, 40)} of PyTorch's old format`, `version ${PROTOCOL_VERSION}`);
  const machine = next();
  if (!(machine instanceof Map) || machine.get("little_endian") !== true) {
    throw fail("big-endian", where, "numbers that are not little-endian", "little-endian numbers", "save it again on a little-endian machine");
  }
  const { value: root, references } = nextPickle();
  const storages = references.map((reference) => storageReference(reference, where));
  const keys = next();
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === "string")) throw fail("bad-storage", where, "keys of storages that are not texts", "a list of texts");
  return { content: torchContent(root, where), storages, keys, end: at };
}

async function readPickles(source: ByteSource, where: string): Promise<Pickles> {
  for (let window = FIRST_WINDOW; ; window *= GROWTH) {
    const length = Math.min(window, source.size, MAX_PICKLE_BYTES);
    try {
      return parse(await source.read(0, length), where);
    } catch (error) {
      const mayGoOn = error instanceof PickleError && error.fault === "truncated" && length < source.size;
      if (!mayGoOn) throw error;
      if (length === MAX_PICKLE_BYTES) throw fail("over-limit", where, `pickles of more than ${MAX_PICKLE_BYTES} bytes`, `at most ${MAX_PICKLE_BYTES}`, "save the weights alone, as a state dict");
    }
  }
}

/** Where each storage lies. Every one must be there whole, with the length that its tensors rely on. */
async function locate(source: ByteSource, { storages: references, keys, end }: Pickles, where: string): Promise<ReadonlyMap<string, ByteSource>> {
  const needed = new Map<string, StorageReference>();
  for (const storage of references) {
    const other = needed.get(storage.key);
    if (other !== undefined && other.length * other.width !== storage.length * storage.width) {
      throw fail("storage-size", where, `storage "${storage.key}" with two lengths`, "one length");
    }
    needed.set(storage.key, storage);
  }
  const storages = new Map<string, ByteSource>();
  let at = end;
  for (const key of keys) {
    const reference = needed.get(key);
    // Without a reference, nothing says how wide its elements are, and so where the next storage begins.
    if (reference === undefined) throw fail("bad-storage", where, `a storage "${key.slice(0, 80)}" that nothing refers to`, "a tensor in every storage");
    if (at + LENGTH_BYTES > source.size) throw fail("truncated", where, `the end of the file before storage "${key.slice(0, 80)}"`, "all storages");
    const head = await source.read(at, LENGTH_BYTES);
    const length = new DataView(head.buffer, head.byteOffset).getBigInt64(0, true);
    if (length !== BigInt(reference.length)) throw fail("storage-size", where, `${length} elements in storage "${key}"`, `${reference.length}, as its tensors say`);
    const start = at + LENGTH_BYTES;
    const size = reference.length * reference.width;
    if (start + size > source.size) throw fail("truncated", where, `the end of the file within storage "${key}"`, `${size} bytes from byte ${start}`);
    storages.set(key, { size, read: (offset, count) => source.read(start + offset, count) });
    at = start + size;
  }
  const missing = [...needed.keys()].find((key) => !storages.has(key));
  if (missing !== undefined) throw fail("missing-storage", where, `no storage "${missing}"`, "the storage that a tensor lies in");
  return storages;
}

/**
 * Opens a checkpoint in PyTorch's old format.
 * @param where name of the file, for messages.
 * @throws PickleError or TorchError
 */
export async function openTorchLegacy(source: ByteSource, where: string): Promise<OpenedTensors> {
  const pickles = await readPickles(source, where);
  const storages = await locate(source, pickles, where);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, { storage, layout }] of pickles.content.tensors) tensors.set(name, stridedTensor(layout, storages.get(storage.key)!));
  return {
    format: "pytorch-legacy",
    producer: PYTORCH,
    description: describeContent(pickles.content),
    module: pickles.content.module,
    tensors,
    names: [...tensors.keys()],
    metadata: pickles.content.values,
  };
}
