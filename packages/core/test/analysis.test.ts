import { describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  cosineMatrix, disentanglementError, dot, float32ToFloat16, groupCoefficients, InputError, norm, Random, sizeOf,
  type HostTensor, type LowRankTensor, type TaskVector,
} from "../src/index.js";

const spec = visionSpec(
  {
    embed_dim: 4,
    vision_cfg: { image_size: 4, layers: 2, width: 8, head_width: 4, patch_size: 2 },
    text_cfg: { context_length: 2, vocab_size: 4, width: 4, heads: 1, layers: 1 },
  },
  { includeLeftovers: true },
);
const m = spec.blocks.length;

describe("coefficients by layer and kind", () => {
  it("average the blocks of each place, vector by vector, and leave leftovers out", () => {
    const coef = Float32Array.from({ length: 2 * m }, (_, i) => (i % 2 === 0 ? 1 : -3) * (i < m ? 1 : 10));
    const groups = groupCoefficients(spec.blocks, coef);
    const own = spec.blocks.filter(({ kind }) => kind !== "leftover");
    expect(groups.reduce((sum, { count }) => sum + count, 0)).toBe(2 * own.length);
    for (const { vector, layer, kind, count, mean, meanAbsolute } of groups) {
      const values = spec.blocks.flatMap((block, j) => (block.layer === layer && block.kind === kind ? [coef[vector * m + j]!] : []));
      expect(count).toBe(values.length);
      expect(mean).toBeCloseTo(values.reduce((sum, value) => sum + value, 0) / count, 12);
      expect(meanAbsolute).toBeCloseTo(values.reduce((sum, value) => sum + Math.abs(value), 0) / count, 12);
    }
  });

  it("average the parts of every block as well", () => {
    const parts = 3;
    const coef = Float32Array.from({ length: 2 * m * parts }, (_, i) => Math.sin(i));
    const [whole, divided] = [new Float32Array(2 * m).map((_, b) => (coef[3 * b]! + coef[3 * b + 1]! + coef[3 * b + 2]!) / parts), groupCoefficients(spec.blocks, coef, parts)];
    groupCoefficients(spec.blocks, whole).forEach(({ count, mean, meanAbsolute, ...place }, i) => {
      expect(divided[i]).toMatchObject({ ...place, count: parts * count });
      expect(divided[i]!.mean).toBeCloseTo(mean, 6);
      expect(divided[i]!.meanAbsolute).toBeGreaterThan(meanAbsolute - 1e-6);
    });
  });

  it("of another model are refused", () => {
    expect(() => groupCoefficients(spec.blocks, new Float32Array(m + 1))).toThrow(InputError);
    expect(() => groupCoefficients(spec.blocks, new Float32Array(m), 2)).toThrow("in 2 parts");
  });
});

describe("the disentanglement error", () => {
  it("is the share of labels that change", () => {
    expect(disentanglementError(Int32Array.of(0, 1, 2, 2), Int32Array.of(0, 1, 1, 0))).toBe(0.5);
  });

  it("needs labels of the same images", () => {
    expect(() => disentanglementError(Int32Array.of(0), Int32Array.of(0, 1))).toThrow(InputError);
    expect(() => disentanglementError(new Int32Array(0), new Int32Array(0))).toThrow(InputError);
  });
});

describe("cosines of task vectors", () => {
  it("are those of their products and lengths, whatever way a block is stored, and where one lacks it", () => {
    const draws = new Random("cosines");
    const f32 = (shape: readonly number[]): HostTensor => ({ dtype: "F32", shape, data: Float32Array.from({ length: sizeOf(shape) }, () => draws.normal()) });
    const half = (shape: readonly number[]): HostTensor => ({ dtype: "F16", shape, data: float32ToFloat16(f32(shape).data as Float32Array) });
    const lowRank: LowRankTensor = { dtype: "low-rank", shape: [3, 4], left: f32([3, 2]), right: f32([2, 4]) };
    const vectors: TaskVector[] = [
      { name: "whole", blocks: new Map([["a", f32([3, 4])], ["b", half([5])]]) },
      { name: "of low rank", blocks: new Map([["a", lowRank]]) },
      { name: "other", blocks: new Map([["b", f32([5])], ["a", half([3, 4])]]) },
      { name: "zero", blocks: new Map() },
    ];
    cosineMatrix(vectors).forEach((row, i) => row.forEach((cosine, j) => {
      const [a, b] = [vectors[i]!, vectors[j]!];
      if (i === 3 || j === 3) expect(cosine).toBeNaN();
      else expect(cosine).toBeCloseTo(dot(a, b) / (norm(a) * norm(b)), 12);
    }));
    const wrong = { name: "wrong", blocks: new Map([["a", f32([4, 3])]]) };
    expect(() => cosineMatrix([vectors[0]!, wrong])).toThrow(/block "a" of "wrong"/);
  });
});
