import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { ELEMENT_BYTES, InputError, readFloat32, sizeOf, type ElementType, type StoredTensor } from "@atlas-tv/core";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { blobSource, encodeSafetensors, memorySource, openSafetensors, urlSource, type ByteSource } from "../src/node.js";
import { collect, entry, rawFile } from "./raw-safetensors.js";

const name = fc.oneof(fc.string(), fc.constantFrom("0", "12", "__proto__", "constructor", "a.b.weight", "日本", '"\\"'))
  .filter((text) => text !== "__metadata__");
const text = fc.string({ unit: "grapheme" });

const tensor: fc.Arbitrary<StoredTensor> = fc
  .record({ dtype: fc.constantFrom(...(Object.keys(ELEMENT_BYTES) as ElementType[])), shape: fc.array(fc.nat({ max: 4 }), { maxLength: 3 }) })
  .chain(({ dtype, shape }) => {
    const length = sizeOf(shape) * ELEMENT_BYTES[dtype];
    return fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => ({ dtype, shape, bytes: () => Promise.resolve(bytes) }));
  });

const file = fc.record({
  tensors: fc.uniqueArray(fc.tuple(name, tensor), { selector: ([key]) => key, maxLength: 6 }).map((list) => new Map(list)),
  metadata: fc.uniqueArray(fc.tuple(fc.string().filter((key) => key !== "__proto__"), text), { selector: ([key]) => key, maxLength: 4 })
    .map((list) => Object.fromEntries(list)),
});

/** Counts what is read through it. */
function counting(source: ByteSource): ByteSource & { bytesRead: number } {
  const counter = {
    size: source.size,
    bytesRead: 0,
    read(offset: number, length: number) {
      counter.bytesRead += length;
      return source.read(offset, length);
    },
  };
  return counter;
}

test("whatever is written is read back: names in order, types, shapes, bytes, metadata", async () => {
  await fc.assert(fc.asyncProperty(file, async ({ tensors, metadata }) => {
    const opened = await openSafetensors(memorySource(await collect(encodeSafetensors(tensors, metadata))), "round trip");
    expect(opened.names).toEqual([...tensors.keys()]);
    expect(opened.metadata).toEqual(metadata);
    for (const [key, { dtype, shape, bytes }] of tensors) {
      const read = opened.tensors.get(key)!;
      expect([read.dtype, read.shape]).toEqual([dtype, shape]);
      expect(await read.bytes()).toEqual(await bytes());
    }
  }));
});

test("the data of every tensor starts at a multiple of its element's width", async () => {
  await fc.assert(fc.asyncProperty(file, async ({ tensors, metadata }) => {
    const bytes = await collect(encodeSafetensors(tensors, metadata));
    const headerLength = Number(new DataView(bytes.buffer).getBigUint64(0, true));
    expect((8 + headerLength) % 8).toBe(0);
    const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + headerLength))) as Record<string, { dtype: ElementType; data_offsets: [number, number] }>;
    for (const key of tensors.keys()) {
      const { dtype, data_offsets: [begin] } = header[key]!;
      expect(begin % ELEMENT_BYTES[dtype]).toBe(0);
    }
  }));
});

test("the same input gives the same bytes, whatever the order of the metadata", async () => {
  const tensors = new Map([["w", { dtype: "F32" as const, shape: [2], data: Float32Array.of(1, -0) }]]);
  const one = await collect(encodeSafetensors(tensors, { b: "2", a: "1" }));
  const other = await collect(encodeSafetensors(tensors, { a: "1", b: "2" }));
  expect(one).toEqual(other);
});

test("the writer holds one tensor at a time", async () => {
  let held = 0;
  const lazy = (): StoredTensor => ({ dtype: "U8", shape: [16], bytes: () => { held++; return Promise.resolve(new Uint8Array(16)); } });
  const chunks = encodeSafetensors(new Map([["a", lazy()], ["b", lazy()], ["c", lazy()]]));
  await chunks.next();
  expect(held).toBe(0);
  await chunks.next();
  expect(held).toBe(1);
});

test("a tensor whose bytes do not match its shape is not written", async () => {
  const short: StoredTensor = { dtype: "F32", shape: [2], bytes: () => Promise.resolve(new Uint8Array(4)) };
  await expect(collect(encodeSafetensors(new Map([["w", short]])))).rejects.toThrow(InputError);
});

test("a tensor may not take the name of the metadata", async () => {
  const scalar = { dtype: "F32" as const, shape: [], data: new Float32Array(1) };
  await expect(collect(encodeSafetensors(new Map([["__metadata__", scalar]])))).rejects.toThrow("reserved");
});

test("one tensor costs its own bytes and the header's, no more", async () => {
  const big = { dtype: "F32" as const, shape: [1000], data: new Float32Array(1000) };
  const small = { dtype: "F32" as const, shape: [3], data: Float32Array.of(1, 2, 3) };
  const bytes = await collect(encodeSafetensors(new Map([["big", big], ["small", small], ["last", big]])));
  const source = counting(memorySource(bytes));
  const { tensors } = await openSafetensors(source, "counted");
  const header = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  expect(source.bytesRead).toBe(header);
  expect(await readFloat32(tensors.get("small")!)).toEqual(small.data);
  expect(source.bytesRead).toBe(header + small.data.byteLength);
});

test("a header without padding is read, though its data is not aligned", async () => {
  const data = new Uint8Array(Float32Array.of(1.5, -2).buffer);
  const raw = rawFile({ "w ": entry("F32", [2], 0, 8) }, data);
  expect((raw.byteLength - 8) % 4).not.toBe(0);
  const { tensors } = await openSafetensors(memorySource(raw), "unaligned");
  expect(await readFloat32(tensors.get("w ")!)).toEqual(Float32Array.of(1.5, -2));
});

test("what is read from memory is a copy", async () => {
  const source = memorySource(Uint8Array.of(1, 2, 3));
  (await source.read(0, 3)).fill(9);
  expect(await source.read(0, 3)).toEqual(Uint8Array.of(1, 2, 3));
});

test("a blob is read by range", async () => {
  const source = blobSource(new Blob([Uint8Array.of(1, 2, 3, 4)]));
  expect(source.size).toBe(4);
  expect(await source.read(1, 2)).toEqual(Uint8Array.of(2, 3));
  await expect(source.read(3, 2)).rejects.toThrow(RangeError);
});

const served = Uint8Array.from({ length: 100 }, (_, index) => index);
let server: Server;
let origin: string;

beforeAll(async () => {
  server = createServer((request, response) => {
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    if (request.url === "/missing") {
      response.writeHead(404).end("no");
    } else if (request.url === "/empty") {
      response.writeHead(416, { "content-range": "bytes */0" }).end();
    } else if (request.url === "/whole" || range === null) {
      response.writeHead(200).end(served);
    } else {
      const part = served.slice(Number(range[1]), Number(range[2]) + 1);
      response.writeHead(206, { "content-range": `bytes ${range[1]}-${range[2]}/${served.length}` }).end(part);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

afterAll(() => new Promise((resolve) => server.close(resolve)));

test.each(["/ranges", "/whole"])("%s: a URL is read by range, with a server that knows ranges and with one that does not", async (path) => {
  const source = await urlSource(origin + path);
  expect(source.size).toBe(served.length);
  expect(await source.read(10, 5)).toEqual(served.slice(10, 15));
  expect(await source.read(10, 0)).toEqual(new Uint8Array(0));
});

test("an empty file behind a URL is empty", async () => {
  expect((await urlSource(`${origin}/empty`)).size).toBe(0);
});

test("a URL without a file is refused with the server's status", async () => {
  await expect(urlSource(`${origin}/missing`)).rejects.toThrow("404");
});
