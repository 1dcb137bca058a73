import * as tf from "@tensorflow/tfjs-core";
import { beforeEach, describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  AbortedError, blockwise, learn, learnOnFeatures, linearProbe, PlainBackend, Random, randomParameters,
  type Objective,
} from "../src/index.js";
import { PLAIN_BACKENDS } from "./plain-backends.js";

/** Far more rounds than pass before the signal is seen. */
const ENDLESS = 1_000_000;

/** A signal that only a turn of the event loop can set, as Ctrl-C in Node or a click in a browser. */
function soon(): AbortSignal {
  const stop = new AbortController();
  setTimeout(() => { stop.abort(); }, 10);
  return stop.signal;
}

const square = ({ w }: Readonly<Record<string, tf.Tensor>>): tf.Scalar => tf.sum(tf.square(w!));

describe.each(PLAIN_BACKENDS)("a signal that comes from outside, on %s", (name) => {
  beforeEach(() => new PlainBackend(name).activate());

  it("stops learning on frozen features", async () => {
    const parameters = [{ name: "w", shape: [4], initial: Float32Array.of(1, 2, 3, 4), learningRate: 0.1 }];
    await expect(learnOnFeatures({ parameters, loss: square, steps: ENDLESS, what: "test", signal: soon() })).rejects.toThrow(AbortedError);
  });

  it("stops the linear probe", async () => {
    const shots = { features: Float32Array.of(1, 0, 0, 1), width: 2, labels: Int32Array.of(0, 1) };
    const head = { name: "two", classNames: ["a", "b"], width: 2, weight: Float32Array.of(1, 0, 0, 1) };
    const work = linearProbe.fit({ head, shots, options: { steps: ENDLESS }, random: new Random(1), signal: soon() });
    await expect(work).rejects.toThrow(AbortedError);
  });

  it("stops learning from batches that are there at once", async () => {
    const spec = visionSpec({ embed_dim: 4, quick_gelu: true, vision_cfg: { image_size: 4, layers: 1, width: 4, head_width: 4, patch_size: 4 } });
    const base = randomParameters(spec, new Random("base"));
    const encoder = await new PlainBackend(name).compile(spec, base, [{ name: "itself", blocks: base }], blockwise());
    const objective: Objective<number> = {
      id: "squares",
      views: () => [{ data: new Float32Array(48).fill(0.5), shape: [1, 4, 4, 3] }],
      loss: ([features]) => tf.sum(tf.square(features!)),
    };
    const work = learn({ encoder, objective, batches: () => [1], batchesPerEpoch: 1, epochs: ENDLESS, learningRate: 1e-9, signal: soon() });
    await expect(work).rejects.toThrow(AbortedError);
    encoder.dispose();
  });
});
