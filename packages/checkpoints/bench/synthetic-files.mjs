/** Writes one set of weights in every format that is read: streams, so that no copy of the whole is held. */
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join as path } from "node:path";
import { writeSafetensorsFile } from "@atlas-tv/checkpoints";
import { dict, integer, join, module, pickle, rowMajor, storage, tensor, text } from "./pickle-pieces.mjs";
import { endRecord, localHeader, padding, record } from "./zip-pieces.mjs";

const MAGIC = Buffer.from([0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e]);

const sizeOf = (shape) => shape.reduce((product, extent) => product * extent, 1);

/** Bytes that look like weights, from one buffer for all. */
const source = Buffer.from(Float32Array.from({ length: 1 << 22 }, (_, i) => 0.02 * Math.sin(i * 12.9898)).buffer);

function bytesOf(shape) {
  const size = 4 * sizeOf(shape);
  return size <= source.length ? source.subarray(0, size) : Buffer.concat(Array.from({ length: Math.ceil(size / source.length) }, () => source)).subarray(0, size);
}

function writeZip(file, root, blocks) {
  const handle = openSync(file, "w");
  const records = [];
  let offset = 0;
  const put = (name, data) => {
    const header = localHeader({ name, data, extra: padding(offset, name) });
    records.push(record({ name, data, offset }));
    writeSync(handle, header);
    writeSync(handle, data);
    offset += header.length + data.length;
  };
  put("archive/data.pkl", root);
  blocks.forEach(({ shape }, index) => { put(`archive/data/${index}`, bytesOf(shape)); });
  put("archive/version", Buffer.from("3\n"));
  const directory = Buffer.concat(records);
  writeSync(handle, directory);
  writeSync(handle, endRecord({ entries: records.length, size: directory.length, offset }));
  closeSync(handle);
}

const tensors = (blocks, legacy = false) =>
  blocks.map(({ name, shape }, index) => [name, tensor(storage(String(index), sizeOf(shape), { legacy }), shape, rowMajor(shape))]);

function writeLegacy(file, blocks) {
  const handle = openSync(file, "w");
  writeSync(handle, Buffer.concat([MAGIC, pickle(integer(1001)), pickle(dict([["little_endian", "\x88"]])), pickle(dict(tensors(blocks, true)))]));
  writeSync(handle, pickle("](", ...blocks.map((_, index) => text(String(index))), "e"));
  for (const { shape } of blocks) {
    const count = Buffer.alloc(8);
    count.writeBigInt64LE(BigInt(sizeOf(shape)));
    writeSync(handle, count);
    writeSync(handle, bytesOf(shape));
  }
  closeSync(handle);
}

/** A TorchScript archive is told by what lies beside its tensors. */
function writeScript(file, blocks) {
  const root = join("c__torch__.clip\nCLIP\n)\x81", dict(tensors(blocks)), "b");
  writeZip(file, pickle(root), blocks);
}

const stored = (blocks) => new Map(blocks.map(({ name, shape }) => [name, { dtype: "F32", shape, bytes: () => Promise.resolve(bytesOf(shape)) }]));

/** @returns the paths to open, by format. */
export async function writeEveryFormat(folder, blocks) {
  const at = (...parts) => path(folder, ...parts);
  await writeSafetensorsFile(at("one.safetensors"), stored(blocks));
  mkdirSync(at("sharded"));
  const half = Math.ceil(blocks.length / 2);
  const shards = [blocks.slice(0, half), blocks.slice(half)];
  const weightMap = {};
  for (const [index, shard] of shards.entries()) {
    await writeSafetensorsFile(at("sharded", `${index}.safetensors`), stored(shard));
    for (const { name } of shard) weightMap[name] = `${index}.safetensors`;
  }
  writeFileSync(at("sharded", "model.safetensors.index.json"), JSON.stringify({ weight_map: weightMap }));
  writeZip(at("state-dict.pt"), pickle(dict(tensors(blocks))), blocks);
  writeZip(at("module.pt"), pickle(module("src.modeling.ImageEncoder", { modules: [["model", module("open_clip.model.CLIP", { parameters: tensors(blocks) })]] })), blocks);
  writeScript(at("torchscript.pt"), blocks);
  writeLegacy(at("legacy.pt"), blocks);
  return {
    safetensors: at("one.safetensors"),
    "safetensors, sharded": at("sharded"),
    "PyTorch zip, state dict": at("state-dict.pt"),
    "PyTorch zip, whole module": at("module.pt"),
    TorchScript: at("torchscript.pt"),
    "PyTorch, old format": at("legacy.pt"),
  };
}
