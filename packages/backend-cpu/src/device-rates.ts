import { PROBE_SECONDS, type DeviceRates } from "@atlas-tv/core";
import { Graph } from "./graph.js";
import { floatTensor, Program, type Tensors } from "./program.js";

/** Rows and widths of the product that measures the machine: an MLP of ViT-B/32 on a batch of 32. */
const [BATCH, INNER, OUTER] = [1600, 768, 3072];

/** 120 MiB, more than caches hold. */
const [ROWS, COLUMNS] = [8192, 3840];

/** The shortest run of a program within some seconds after a first one; at least one. */
async function shortest(graph: Graph, threads: number, inputs: Tensors, outputs: Tensors, seconds: number): Promise<number> {
  const program = await Program.create(graph, threads);
  await program.run(inputs, outputs);
  const end = performance.now() + 1000 * seconds;
  let best = Infinity;
  do {
    const start = performance.now();
    await program.run(inputs, outputs);
    best = Math.min(best, performance.now() - start);
  } while (performance.now() < end);
  program.release();
  return best / 1000;
}

const filled = (rows: number, columns: number) => floatTensor(new Float32Array(rows * columns).fill(0.5), [rows, columns]);

/** Operations a second of onnxruntime's matrix product, the best of some runs: the rate that a step is compared with. */
export async function measureProductRate(threads: number, seconds = PROBE_SECONDS / 2): Promise<number> {
  const graph = new Graph();
  graph.output("y", graph.matmul(graph.input("a", [BATCH, INNER]), graph.input("b", [INNER, OUTER])), [BATCH, OUTER]);
  const inputs = { a: filled(BATCH, INNER), b: filled(INNER, OUTER) };
  return (2 * BATCH * INNER * OUTER) / (await shortest(graph, threads, inputs, { y: filled(BATCH, OUTER) }, seconds));
}

/** Bytes a second that the sums over the rows of a matrix read. */
async function measureReadRate(threads: number, seconds = PROBE_SECONDS / 2): Promise<number> {
  const graph = new Graph();
  const sums = graph.node("ReduceSum", [graph.input("x", [ROWS, COLUMNS]), graph.integers(1)], { keepdims: 1 });
  graph.output("y", sums, [ROWS, 1]);
  return (4 * ROWS * COLUMNS) / (await shortest(graph, threads, { x: filled(ROWS, COLUMNS) }, { y: filled(ROWS, 1) }, seconds));
}

/** What onnxruntime achieves on this machine. */
export async function measureRates(threads: number): Promise<DeviceRates> {
  return { flops: await measureProductRate(threads), bytesPerSecond: await measureReadRate(threads) };
}
