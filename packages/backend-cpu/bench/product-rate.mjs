import { encodeOnnxModel, OnnxGraph } from "@atlas-tv/core";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { Program } from "../dist/program.js";

const [ROWS, INNER, OUTER] = [1600, 768, 3072];

const filled = (rows, columns) => new Tensor("float32", new Float32Array(rows * columns).fill(0.5), [rows, columns]);

function product() {
  const graph = new OnnxGraph();
  graph.output("y", graph.matmul(graph.input("a", [ROWS, INNER]), graph.input("b", [INNER, OUTER])), [ROWS, OUTER]);
  return graph;
}

/**
 * The rate of one matrix product of onnxruntime, by onnxruntime-node's own `run`, which copies the result, and by this backend's
 * programs, which do not. It is sampled between the steps that it is compared with: the machine is the same for both.
 */
export class ProductRate {
  #best = { copied: Infinity, uncopied: Infinity };

  static async open(threads) {
    const rate = new ProductRate();
    const model = Buffer.concat([...encodeOnnxModel(product().model())]);
    rate.copied = await InferenceSession.create(model, { intraOpNumThreads: threads });
    rate.uncopied = await Program.create(product(), threads);
    rate.inputs = { a: filled(ROWS, INNER), b: filled(INNER, OUTER) };
    rate.outputs = { y: filled(ROWS, OUTER) };
    return rate;
  }

  /** Runs each way twice: the first run finds cold caches. */
  async sample() {
    for (const way of ["copied", "uncopied"]) {
      for (let run = 0; run < 2; run++) {
        const start = performance.now();
        await this[way].run(this.inputs, this.outputs);
        this.#best[way] = Math.min(this.#best[way], performance.now() - start);
      }
    }
  }

  /** 10⁹ operations a second, by the best of all samples. */
  gflops(way) {
    return (2 * ROWS * INNER * OUTER) / this.#best[way] / 1e6;
  }
}
