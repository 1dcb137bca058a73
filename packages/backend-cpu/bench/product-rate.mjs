import { Graph } from "../dist/graph.js";
import { floatTensor, Program } from "../dist/program.js";

/** Rows and widths of the product that measures the machine: an MLP of ViT-B/32 on a batch of 32. */
const [ROWS, INNER, COLUMNS] = [1600, 768, 3072];
const RUNS = 5;

/** GFLOPS of one onnxruntime matrix product, the best of some runs: the rate that a step is compared with. */
export async function measureProductRate(threads) {
  const graph = new Graph();
  graph.output("y", graph.matmul(graph.input("a", [ROWS, INNER]), graph.input("b", [INNER, COLUMNS])), [ROWS, COLUMNS]);
  const program = await Program.create(graph, threads);
  const array = (rows, columns) => floatTensor(new Float32Array(rows * columns).fill(0.5), [rows, columns]);
  const inputs = { a: array(ROWS, INNER), b: array(INNER, COLUMNS) };
  const outputs = { y: array(ROWS, COLUMNS) };
  await program.run(inputs, outputs);
  let best = Infinity;
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now();
    await program.run(inputs, outputs);
    best = Math.min(best, performance.now() - start);
  }
  program.release();
  return (2 * ROWS * INNER * COLUMNS) / best / 1e6;
}
