import { describe, expect, it } from "vitest";
import { Graph } from "../src/graph.js";
import { floatTensor, Program } from "../src/program.js";

const SIZE = 2 ** 18;
const RUNS = 50;

/** y = x + x and z = x · x. */
function twoResults(): Graph {
  const graph = new Graph();
  const x = graph.input("x", [SIZE]);
  graph.output("y", graph.add(x, x), [SIZE]);
  graph.output("z", graph.mul(x, x), [SIZE]);
  return graph;
}

const x = floatTensor(Float32Array.from({ length: SIZE }, (_, i) => i % 7), [SIZE]);

describe("a program", () => {
  it("writes its results into the arrays that it is given, and makes no others", async () => {
    const program = await Program.create(twoResults(), 1);
    const y = new Float32Array(SIZE);
    const z = new Float32Array(SIZE);
    const outputs = { y: floatTensor(y, [SIZE]), z: floatTensor(z, [SIZE]) };
    await program.run({ x }, outputs);
    const before = process.memoryUsage().arrayBuffers;
    for (let run = 0; run < RUNS; run++) await program.run({ x }, outputs);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(y.byteLength);
    expect([y[6], z[6], y[SIZE - 1], z[SIZE - 1]]).toEqual([12, 36, 2 * ((SIZE - 1) % 7), ((SIZE - 1) % 7) ** 2]);
    program.release();
  });

  it("computes the results that are asked for", async () => {
    const program = await Program.create(twoResults(), 1);
    const z = new Float32Array(SIZE);
    await program.run({ x }, { z: floatTensor(z, [SIZE]) });
    expect(z[3]).toBe(9);
    program.release();
  });

  it("rejects what onnxruntime rejects", async () => {
    const program = await Program.create(twoResults(), 1);
    const short = floatTensor(new Float32Array(1), [1]);
    await expect(program.run({ x: short }, { y: short })).rejects.toThrow(/dimensions/i);
    program.release();
  });
});
