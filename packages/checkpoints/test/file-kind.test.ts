import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InputError } from "@atlas-tv/core";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { encodeSafetensors, inspectFile, memorySource, openCheckpoint, SafetensorsError, sha256File, sniff, writeSplits, writeTaskVector } from "../src/node.js";
import { collect, entry, rawFile } from "./raw-safetensors.js";

let folder: string;
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), "atlas-kinds-")); });
afterAll(() => { rmSync(folder, { recursive: true, force: true }); });

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

describe("sniff", () => {
  const good = rawFile({ x: entry("F32", [1], 0, 4) }, 4);

  test.each([
    ["an empty file", "empty", new Uint8Array(0)],
    ["a safetensors file", "safetensors", good],
    ["a safetensors file that was cut", "safetensors", good.slice(0, -1)],
    ["a composition", "atlas-composition", rawFile({ __metadata__: { format: "atlas-composition" } })],
    ["a task vector", "atlas-task-vector", rawFile({ __metadata__: { format: "atlas-task-vector" } })],
    ["a state", "atlas-state", rawFile({ __metadata__: { format: "atlas-state" } })],
    ["a run", "atlas-run", ascii('{"format":"atlas-run"}')],
    ["splits", "atlas-splits", ascii('{"format":"atlas-splits"}')],
    ["JSON of others", "json", ascii(' {"format":"toString"}')],
    ["a list", "json", ascii("[1, 2]")],
    ["text", "text", ascii("naïve text\n")],
    ["broken JSON", "text", ascii("{nearly")],
    ["text whose last character is cut at the end of what is looked at", "text", ascii(`${"a".repeat(511)}é${"a".repeat(99)}`)],
    ["a pickle", "pickle", Uint8Array.of(0x80, 2, 0x7d, 0x71)],
    ["a zip archive of others", "zip", Uint8Array.of(0x50, 0x4b, 3, 4, ...new Uint8Array(22), 1, 0, 0, 0, 0x61)],
    ["a PNG", "unknown", Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)],
  ])("recognises %s", async (_title, kind, bytes) => {
    expect((await sniff(memorySource(bytes))).kind).toBe(kind);
  });

  test("says what stands in for a file that was not downloaded", async () => {
    expect((await sniff(memorySource(ascii("version https://git-lfs.github.com/spec/v1\noid sha256:00")))).description).toContain("Git LFS pointer");
    expect((await sniff(memorySource(ascii("<!DOCTYPE html><html>")))).description).toContain("web page");
  });

  test("never throws, whatever the bytes", async () => {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 600 }), async (bytes) => {
      expect((await sniff(memorySource(bytes))).description).not.toBe("");
    }));
  });
});

describe("openCheckpoint", () => {
  test("judges by content: a safetensors file of any name", async () => {
    const path = join(folder, "weights.bin");
    writeFileSync(path, rawFile({ x: entry("F32", [1], 0, 4) }, 4));
    await using file = await openCheckpoint(path);
    expect(file.names).toEqual(["x"]);
  });

  test.each([["zeroed.safetensors", new Uint8Array(64)], ["empty.safetensors", new Uint8Array(0)], ["cut.safetensors", rawFile({}).slice(0, 5)]])(
    "%s is named as safetensors, so its fault is one of that format",
    async (name, bytes) => {
      const path = join(folder, name);
      writeFileSync(path, bytes);
      await expect(openCheckpoint(path)).rejects.toThrow(SafetensorsError);
    },
  );

  test.each([
    ["pointer.safetensors", ascii("version https://git-lfs.github.com/spec/v1\n"), "Git LFS pointer"],
    ["picture.pt", Uint8Array.of(0x89, 0x50, 0x4e, 0x47), "begins with 89 50 4e 47"],
  ])("%s is refused: what it is", async (name, bytes, got) => {
    const path = join(folder, name);
    writeFileSync(path, bytes);
    await expect(openCheckpoint(path)).rejects.toThrow(got);
  });

  test("a missing file and a folder are refused", async () => {
    await expect(openCheckpoint(join(folder, "missing"))).rejects.toThrow("ENOENT");
    await expect(openCheckpoint(folder)).rejects.toThrow("a folder");
    await expect(openCheckpoint(folder)).rejects.toThrow(InputError);
  });

  test("a pipe is refused, and not waited for", async (context) => {
    context.skip(process.platform === "win32", "Windows has no pipes among its files");
    const path = join(folder, "pipe");
    execFileSync("mkfifo", [path]);
    await expect(openCheckpoint(path)).rejects.toThrow("not a regular file");
  });

  test("tensors cannot be read once it is closed", async () => {
    const path = join(folder, "closed.safetensors");
    writeFileSync(path, rawFile({ x: entry("F32", [1], 0, 4) }, 4));
    const file = await openCheckpoint(path);
    await file.close();
    await expect(file.tensors.get("x")!.bytes()).rejects.toThrow();
  });
});

describe("inspectFile", () => {
  test("lists the tensors of a checkpoint with its producer and hash", async () => {
    const path = join(folder, "inspected.safetensors");
    const tensors = new Map([["w", { dtype: "F16" as const, shape: [2, 3], data: new Uint16Array(6) }]]);
    writeFileSync(path, await collect(encodeSafetensors(tensors, { format: "pt" })));
    expect(await inspectFile(path)).toEqual({
      format: "safetensors",
      producer: "pt",
      tensors: [{ name: "w", dtype: "F16", shape: [2, 3], bytes: 12 }],
      sha256: await sha256File(path),
      metadata: { format: "pt" },
    });
  });

  test("tells a task vector and what it is about", async () => {
    const path = join(folder, "vector.safetensors");
    await writeTaskVector(path, { name: "MNIST", blocks: new Map([["w", { dtype: "F16", shape: [1], data: new Uint16Array(1) }]]) }, { accuracy: "0.9" });
    const { format, producer, metadata } = await inspectFile(path);
    expect([format, producer]).toEqual(["atlas-task-vector", "atlas"]);
    expect(metadata).toMatchObject({ name: "MNIST", accuracy: "0.9", version: "1" });
  });

  test("counts the images of splits", async () => {
    const path = join(folder, "splits.json");
    const shots = [{ seed: 1, subsample: "1", indices: Int32Array.of(1) }];
    await writeSplits(path, [{ name: "D", size: 3, seed: 0, train: Int32Array.of(0, 1), validation: Int32Array.of(2), shots }]);
    const { artefact, tensors } = await inspectFile(path);
    expect(tensors).toEqual([]);
    expect(artefact).toEqual({ datasets: [{ name: "D", size: 3, seed: 0, train: 2, validation: 1, shots: [{ seed: 1, subsample: "1", images: 1 }] }] });
  });
});
