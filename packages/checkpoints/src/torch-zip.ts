/**
 * What `torch.save` and `torch.jit.save` write: a zip archive of one folder with the pickle `data.pkl` and the bytes of
 * each storage in `data/<key>`. Entries are stored unpacked, so a tensor is a range of the file.
 */
import type { StoredTensor } from "@atlas-tv/core";
import type { ByteSource } from "./byte-source.js";
import { stridedTensor } from "./strided-tensor.js";
import type { OpenedTensors } from "./tensor-file.js";
import { describeContent, MAX_PICKLE_BYTES, PYTORCH } from "./torch-content.js";
import { TorchError, type TorchFault } from "./torch-error.js";
import { isTorchScript, PICKLE, torchFolder } from "./torch-signature.js";
import { torchContent, type TorchContent } from "./torch-structure.js";
import type { StorageReference } from "./torch-tensors.js";
import { readPickle } from "./unpickler.js";
import { readZipDirectory, type ZipEntries, type ZipEntry } from "./zip-directory.js";
import { openZipEntry } from "./zip-entry.js";

/** Headers of entries that are read at the same time. */
const PARALLEL = 32;

function fail(fault: TorchFault, where: string, got: string, expected: string, next = "get the file again, or save it again"): TorchError {
  return new TorchError(fault, { where, got, expected, next });
}

async function requireLittleEndian(source: ByteSource, entries: ZipEntries, folder: string, where: string): Promise<void> {
  const entry = entries.get(`${folder}byteorder`);
  if (entry === undefined) return;
  const text = entry.size > 16 ? "?" : new TextDecoder().decode(await (await openZipEntry(source, entry, where)).read(0, entry.size));
  if (text.trim() === "little") return;
  throw fail("big-endian", where, `numbers in byte order "${text}"`, "little-endian numbers", "save it again on a little-endian machine");
}

async function readContent(source: ByteSource, entry: ZipEntry, where: string): Promise<TorchContent> {
  if (entry.size > MAX_PICKLE_BYTES) {
    throw fail("over-limit", where, `a pickle of ${entry.size} bytes`, `at most ${MAX_PICKLE_BYTES}`, "save the weights alone, as a state dict");
  }
  const pickle = await (await openZipEntry(source, entry, where)).read(0, entry.size);
  return torchContent(readPickle(pickle, where).value, where);
}

/** Opens each storage once; its size must be the one that tensors rely on. */
async function openStorages(source: ByteSource, entries: ZipEntries, folder: string, needed: readonly StorageReference[], where: string): Promise<ReadonlyMap<string, ByteSource>> {
  const storages = new Map<string, ByteSource>();
  const open = async ({ key, length, width }: StorageReference): Promise<void> => {
    const entry = entries.get(`${folder}data/${key}`);
    if (entry === undefined) throw fail("missing-storage", where, `no entry ${folder}data/${key}`, "the storage that a tensor lies in");
    if (entry.size !== length * width) throw fail("storage-size", where, `${entry.size} bytes in storage "${key}"`, `${length * width}, as its tensors say`);
    storages.set(key, await openZipEntry(source, entry, where));
  };
  for (let at = 0; at < needed.length; at += PARALLEL) await Promise.all(needed.slice(at, at + PARALLEL).map(open));
  return storages;
}

/**
 * Opens a checkpoint that PyTorch saved as a zip archive, or a TorchScript archive. Its code is never run, nor even read.
 * @param where name of the file, for messages.
 * @throws ZipError, PickleError or TorchError
 */
export async function openTorchZip(source: ByteSource, where: string): Promise<OpenedTensors> {
  const entries = await readZipDirectory(source, where);
  const folder = torchFolder(entries);
  if (folder === null) throw fail("no-pickle", where, "a zip archive that does not hold one data.pkl", "an archive as PyTorch writes it", "give the file that holds the weights");
  await requireLittleEndian(source, entries, folder, where);
  const found = await readContent(source, entries.get(`${folder}${PICKLE}`)!, where);
  const needed = new Map([...found.tensors.values()].map(({ storage }) => [`${storage.key}/${storage.length * storage.width}`, storage]));
  const storages = await openStorages(source, entries, folder, [...needed.values()], where);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, { storage, layout }] of found.tensors) tensors.set(name, stridedTensor(layout, storages.get(storage.key)!));
  return {
    format: isTorchScript(entries, folder) ? "torchscript" : "pytorch-zip",
    producer: PYTORCH,
    description: describeContent(found),
    module: found.module,
    tensors,
    names: [...tensors.keys()],
    metadata: found.values,
  };
}
