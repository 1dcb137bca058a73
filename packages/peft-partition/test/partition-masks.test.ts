import { knownModel, visionSpec } from "@atlas-tv/clip";
import { InputError, Random, sizeOf, type BlockSpec } from "@atlas-tv/core";
import { describe, expect, it } from "vitest";
import { blockMasks, MOST_PARTS, releasedMasks } from "../src/index.js";
import { visionBlocks } from "./small-encoder.js";

const matrix: BlockSpec = { name: "a.weight", shape: [40, 50], kind: "mlp_input", role: "weight", layer: 0 };
const sibling: BlockSpec = { ...matrix, name: "b.weight", layer: 1 };
const bias: BlockSpec = { name: "a.bias", shape: [3], kind: "mlp_input", role: "bias", layer: 0 };
const scale: BlockSpec = { name: "logit_scale", shape: [], kind: "leftover", role: "weight", layer: null };

describe("masks by block", () => {
  it("number every element of every block with a part", () => {
    const masks = blockMasks(5, new Random(1));
    for (const block of [matrix, bias, scale]) {
      const mask = masks.of(block)!;
      expect(mask.length).toBe(sizeOf(block.shape));
      expect(mask.every((part) => part < 5)).toBe(true);
    }
  });

  it("give the parts equal chances", () => {
    const counts = new Array<number>(4).fill(0);
    for (const part of blockMasks(4, new Random(2)).of(matrix)!) counts[part]!++;
    // Four standard deviations of a binomial of 2000 draws.
    for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(4 * Math.sqrt(2000 * 0.25 * 0.75));
  });

  it("depend on seed and block name alone, not on what was asked for before", () => {
    const forwards = blockMasks(7, new Random("x"));
    const backwards = blockMasks(7, new Random("x"));
    const [a, b] = [forwards.of(matrix), forwards.of(sibling)];
    expect(backwards.of(sibling)).toEqual(b);
    expect(backwards.of(matrix)).toEqual(a);
    expect(a).not.toEqual(b);
    expect(blockMasks(7, new Random("y")).of(matrix)).not.toEqual(a);
  });

  it("take one byte an element up to 256 parts, and two beyond", () => {
    expect(blockMasks(256, new Random(1)).of(matrix)).toBeInstanceOf(Uint8Array);
    expect(blockMasks(257, new Random(1)).of(matrix)).toBeInstanceOf(Uint16Array);
    expect(Math.max(...blockMasks(1200, new Random(1)).of(matrix)!)).toBeGreaterThan(255);
  });

  it.each([0, 1.5, -1, MOST_PARTS + 1, NaN])("of %d parts are refused", (parts) => {
    expect(() => blockMasks(parts, new Random(1))).toThrow(InputError);
  });

  it("are drawn for a ViT-B/32 within seconds and take a byte a weight", () => {
    const { blocks } = visionSpec(knownModel("ViT-B-32"));
    const [largest] = [...blocks].sort((x, y) => sizeOf(y.shape) - sizeOf(x.shape));
    const started = performance.now();
    expect(blockMasks(80, new Random(1)).of(largest!)!.byteLength).toBe(sizeOf(largest!.shape));
    expect(performance.now() - started).toBeLessThan(3000);
  });
});

describe("masks as released", () => {
  it("are shared by blocks of one shape, and leave out all that are not matrices", () => {
    const masks = releasedMasks(4, new Random(1));
    expect(masks.of(sibling)).toBe(masks.of(matrix));
    for (const block of visionBlocks()) expect(masks.of(block) === null).toBe(block.shape.length !== 2);
  });
});
