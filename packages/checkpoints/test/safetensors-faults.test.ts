import { InputError } from "@atlas-tv/core";
import { expect, test } from "vitest";
import { MAX_HEADER_BYTES, memorySource, openSafetensors, SafetensorsError, type SafetensorsFault } from "../src/node.js";
import { entry, rawFile } from "./raw-safetensors.js";

const WHERE = "weights.safetensors";

async function faultOf(bytes: Uint8Array): Promise<SafetensorsError> {
  const error: unknown = await openSafetensors(memorySource(bytes), WHERE).then(() => null, (caught: unknown) => caught);
  if (!(error instanceof SafetensorsError)) throw new Error(`expected a SafetensorsError, got ${String(error)}`);
  expect(error).toBeInstanceOf(InputError);
  expect(error.facts.where).toContain(WHERE);
  return error;
}

const good = { x: entry("F32", [2], 0, 8) };
const withEntry = (value: unknown): object => ({ x: value });

const faulty: [title: string, fault: SafetensorsFault, bytes: Uint8Array, names?: string[]][] = [
  ["an empty file is truncated", "truncated", new Uint8Array(0), ["empty"]],
  ["a file of seven bytes is truncated", "truncated", new Uint8Array(7), ["7 bytes"]],
  ["a file cut in its data is truncated", "truncated", rawFile(good, 7), ['tensor "x"', "1 too few"]],
  ["a header longer than the file", "header-longer-than-file", rawFile(good, 8, 1000), ["1000 bytes"]],
  ["a file cut in its header", "header-longer-than-file", rawFile(good, 0).slice(0, 20)],
  ["a header over the limit", "header-over-limit", rawFile(good, 8, MAX_HEADER_BYTES + 1), [String(MAX_HEADER_BYTES)]],
  ["a header of 2⁶⁴ − 1 bytes", "header-over-limit", rawFile(good, 8, 2n ** 64n - 1n)],
  ["a header that is not UTF-8", "header-not-utf8", rawFile(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]))],
  ["an empty header", "header-not-json-object", rawFile("")],
  ["a header that is not JSON", "header-not-json-object", rawFile("{\"x\":")],
  ["a header that is an array", "header-not-json-object", rawFile("[]")],
  ["a header that starts with a space", "header-not-json-object", rawFile(" {}")],
  ["a header that starts with a byte order mark", "header-not-json-object", rawFile("\ufeff{}")],
  ["text after the header's object", "header-not-json-object", rawFile("{} {}")],
  ["a tensor named twice", "duplicate-name", rawFile(`{"x":${JSON.stringify(good.x)},"x":${JSON.stringify(good.x)}}`, 8), ['"x"']],
  ["a tensor named twice, once with an escape", "duplicate-name", rawFile(`{"x":${JSON.stringify(good.x)},"\\u0078":${JSON.stringify(good.x)}}`, 8), ['"x"']],
  ["a field named twice", "duplicate-name", rawFile('{"x":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}}', 8), ['"dtype"']],
  ["metadata named twice", "duplicate-name", rawFile('{"__metadata__":{"a":"1","a":"2"}}'), ['"a"']],
  ["metadata that is not an object", "bad-metadata", rawFile({ __metadata__: "pt" })],
  ["metadata that is a number", "bad-metadata", rawFile({ __metadata__: { epoch: 3 } }), ["epoch"]],
  ["an entry that is not an object", "bad-entry", rawFile(withEntry(3), 8), ['tensor "x"']],
  ["an entry without offsets", "bad-entry", rawFile(withEntry({ dtype: "F32", shape: [2] }), 8)],
  ["an unknown element type", "unknown-dtype", rawFile(withEntry(entry("F8_E4M3", [8], 0, 8)), 8), ['tensor "x"', "F8_E4M3", "we do not read", "BF16"]],
  ["an element type that is a number", "unknown-dtype", rawFile(withEntry({ dtype: 5, shape: [2], data_offsets: [0, 8] }), 8)],
  ["an element type that every object has", "unknown-dtype", rawFile(withEntry(entry("toString", [2], 0, 8)), 8)],
  ["a negative extent", "bad-shape", rawFile(withEntry(entry("F32", [-2], 0, 8)), 8), ["[-2]"]],
  ["an extent that is not whole", "bad-shape", rawFile(withEntry(entry("F32", [0.5], 0, 2)), 2)],
  ["an extent that is text", "bad-shape", rawFile(withEntry(entry("F32", ["2"], 0, 8)), 8)],
  ["an extent beyond 2⁵³", "bad-shape", rawFile(withEntry(entry("F32", [2 ** 54], 0, 8)), 8)],
  ["extents whose product overflows", "bad-shape", rawFile(withEntry(entry("F32", [2 ** 30, 2 ** 30], 0, 8)), 8)],
  ["extents whose product wraps around to the right size", "bad-shape", rawFile(withEntry(entry("U8", [2 ** 32, 2 ** 32 + 1], 0, 2 ** 32)), 8)],
  ["a shape that is not a list", "bad-shape", rawFile(withEntry({ dtype: "F32", shape: 2, data_offsets: [0, 8] }), 8)],
  ["offsets in the wrong order", "bad-offsets", rawFile(withEntry(entry("F32", [2], 8, 0)), 8)],
  ["a negative offset", "bad-offsets", rawFile(withEntry(entry("F32", [2], -8, 0)), 8)],
  ["an offset that is not whole", "bad-offsets", rawFile(withEntry(entry("F32", [2], 0.5, 8.5)), 9)],
  ["three offsets", "bad-offsets", rawFile(withEntry({ dtype: "F32", shape: [2], data_offsets: [0, 8, 16] }), 8)],
  ["offsets that do not match shape and element type", "size-mismatch", rawFile(withEntry(entry("F32", [3], 0, 8)), 8), ["8 bytes", "12 bytes", "[3]"]],
  ["overlapping offsets", "overlapping-offsets", rawFile({ x: entry("F32", [2], 0, 8), y: entry("F32", [2], 4, 12) }, 12), ['tensor "y"', '"x"']],
  ["two tensors on the same bytes", "overlapping-offsets", rawFile({ x: entry("F32", [2], 0, 8), y: entry("F32", [2], 0, 8) }, 8)],
  ["a hole between two tensors", "hole", rawFile({ x: entry("F32", [2], 0, 8), y: entry("F32", [2], 12, 20) }, 20), ['tensor "y"', "4 unused bytes"]],
  ["a hole before the first tensor", "hole", rawFile({ x: entry("F32", [2], 4, 12) }, 12)],
  ["a tensor past the end", "past-the-end", rawFile({ x: entry("F32", [2], 0, 8), y: entry("F32", [2], 1000, 1008) }, 16), ['tensor "y"', "1008"]],
  ["trailing bytes", "trailing-bytes", rawFile(good, 11), ["3 bytes after"]],
  ["trailing bytes without any tensor", "trailing-bytes", rawFile({}, 1)],
];

test.each(faulty)("%s is refused as %s", async (_title, fault, bytes, names = []) => {
  const error = await faultOf(bytes);
  expect(error.fault).toBe(fault);
  for (const name of names) expect(error.message).toContain(name);
});

test("every prefix of a file is refused", async () => {
  const whole = rawFile({ x: entry("F32", [2], 0, 8), y: entry("U8", [3], 8, 11) }, 11);
  for (let length = 0; length < whole.byteLength; length++) {
    const { fault } = await faultOf(whole.slice(0, length));
    expect(["truncated", "header-longer-than-file"]).toContain(fault);
  }
});
