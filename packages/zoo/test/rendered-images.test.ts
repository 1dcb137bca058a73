import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { PICTURE_BYTES, cached, renderedSource } from "../build/rendered-images.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "rendered-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

it("what was rendered is read back, and rendered anew for another key", async () => {
  let renderings = 0;
  const render = (): Promise<{ facts: { names: string[] }; bytes: Uint8Array }> => {
    renderings++;
    return Promise.resolve({ facts: { names: ["α\n", "b"] }, bytes: Uint8Array.of(10, 0, 255, renderings) });
  };
  const first = await cached(folder, "set", [1], render);
  const again = await cached(folder, "set", [1], render);
  expect(again.facts).toEqual(first.facts);
  expect([...again.bytes]).toEqual([10, 0, 255, 1]);
  expect([...(await cached(folder, "set", [2], render)).bytes]).toEqual([10, 0, 255, 2]);
  expect(readdirSync(folder).filter((name) => !name.endsWith(".bin"))).toEqual([]);
});

it("a block of pictures is an image source", async () => {
  const bytes = Uint8Array.from({ length: 2 * PICTURE_BYTES }, (_, index) => (index < PICTURE_BYTES ? 1 : 2));
  const source = renderedSource("two", ["one", "other"], Int32Array.of(0, 1), bytes);
  const image = await source.image(1);
  expect([image.width, image.height, image.channels]).toEqual([32, 32, 3]);
  expect(new Set(image.data)).toEqual(new Set([2]));
});
