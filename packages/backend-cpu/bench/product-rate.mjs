import { encodeOnnxModel, OnnxGraph } from "@atlas-tv/core";
import { InferenceSession, Tensor } from "onnxruntime-node";

const [ROWS, INNER, OUTER] = [1600, 768, 3072];
const RUNS = 5;

/** Operations a second of onnxruntime-node's own `run` of one matrix product, the best of five: it includes a copy of the result. */
export async function publicProductRate(threads) {
  const graph = new OnnxGraph();
  graph.output("y", graph.matmul(graph.input("a", [ROWS, INNER]), graph.input("b", [INNER, OUTER])), [ROWS, OUTER]);
  const session = await InferenceSession.create(Buffer.concat([...encodeOnnxModel(graph.model())]), { intraOpNumThreads: threads });
  const filled = (rows, columns) => new Tensor("float32", new Float32Array(rows * columns).fill(0.5), [rows, columns]);
  const inputs = { a: filled(ROWS, INNER), b: filled(INNER, OUTER) };
  const outputs = { y: filled(ROWS, OUTER) };
  await session.run(inputs, outputs);
  let best = Infinity;
  for (let run = 0; run < RUNS; run++) {
    const start = performance.now();
    await session.run(inputs, outputs);
    best = Math.min(best, performance.now() - start);
  }
  await session.release();
  return (2 * ROWS * INNER * OUTER) / (best / 1000);
}
