import { describe, expect, it } from "vitest";
import { clipGradients, float16ToFloat32, float32ToFloat16, gradientNorm, lpPenalty, Random } from "../src/index.js";
import fc from "fast-check";
import { f16round } from "@petamoriken/float16";

describe("gradient clipping", () => {
  it("scales to the norm, and leaves smaller gradients as they are", () => {
    const large = { a: Float32Array.of(3, 0), b: Float32Array.of(4) };
    expect(clipGradients(large, 1)).toBeCloseTo(5, 6);
    expect(gradientNorm(large)).toBeCloseTo(1, 5);
    const small = { a: Float32Array.of(0.3, 0.4) };
    clipGradients(small, 1);
    expect([...small.a]).toEqual([...Float32Array.of(0.3, 0.4)]);
  });
});

describe("the Lp penalty", () => {
  it.each([1, 2] as const)("has the gradient that finite differences show, order %i", (order) => {
    const values = Float32Array.of(0.5, -0.25, 0.75, 1, -2, 0.125);
    const gradient = new Float32Array(6);
    lpPenalty(values, 2, { order }, gradient);
    values.forEach((value, i) => {
      const at = (shift: number): number => lpPenalty(values.with(i, value + shift), 2, { order }, new Float32Array(6));
      expect((at(2 ** -8) - at(-(2 ** -8))) * 2 ** 7).toBeCloseTo(gradient[i]!, 3);
    });
  });

  it.each([1, 2] as const)("has subgradient 0 at 0, order %i", (order) => {
    const gradient = new Float32Array(4);
    expect(lpPenalty(new Float32Array(4), 2, { order }, gradient)).toBe(0);
    expect([...gradient]).toEqual([0, 0, 0, 0]);
  });
});

describe("half floats", () => {
  it("round to nearest, ties to even, as the float16 library does", () => {
    fc.assert(fc.property(fc.float({ noNaN: true }), (value) => {
      expect(float16ToFloat32(float32ToFloat16(Float32Array.of(value)))[0]).toBe(f16round(value));
    }), { numRuns: 2000 });
    for (const value of [65504, 65519.996, 65520, 5.96e-8, 2.98e-8, 2 ** -25, 6.1e-5, 1 + 2 ** -11, 1 + 3 * 2 ** -11, -0]) {
      expect(float16ToFloat32(float32ToFloat16(Float32Array.of(value)))[0]).toBe(f16round(Math.fround(value)));
    }
  });

  it("survive a round trip of all 65,536 bit patterns that are numbers", () => {
    const bits = Uint16Array.from({ length: 65536 }, (_, i) => i).filter((value) => (value & 0x7fff) <= 0x7c00);
    expect(float32ToFloat16(float16ToFloat32(bits))).toEqual(bits);
  });
});

describe("the generator", () => {
  it("gives forks that do not depend on what was drawn before", () => {
    const drawn = new Random(7);
    drawn.next();
    expect(drawn.fork("shots").permutation(20)).toEqual(new Random(7).fork("shots").permutation(20));
    expect(new Random(7).fork("a").next()).not.toBe(new Random(7).fork("b").next());
  });

  it("draws permutations and bounded integers evenly", () => {
    const random = new Random("even");
    const counts = new Array<number>(5).fill(0);
    for (let i = 0; i < 5000; i++) counts[random.permutation(5)[0]!]!++;
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(130);
  });

  it("draws normals of mean 0 and variance 1", () => {
    const random = new Random("normal");
    const draws = Array.from({ length: 20000 }, () => random.normal());
    const mean = draws.reduce((sum, value) => sum + value, 0) / draws.length;
    const variance = draws.reduce((sum, value) => sum + (value - mean) ** 2, 0) / draws.length;
    expect(Math.abs(mean)).toBeLessThan(0.03);
    expect(Math.abs(variance - 1)).toBeLessThan(0.05);
  });
});
