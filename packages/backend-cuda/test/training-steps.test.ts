import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { visionSpec } from "@atlas-tv/clip";
import {
  blockwise, initAdamW, inputTensor, stepAdamW, type CompiledEncoder, type CompileOptions, type NamedArrays,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { smallInputs, smallModel } from "../../backend-cpu/test/small-models.js";
import { tensorFlowBackend } from "../src/tensorflow-addon.js";
import { onCpu, withTensorFlow } from "./cpu-runtime.js";

const STEPS = 100;

/** After these steps the allocators of Node and TensorFlow hold what a step needs. */
const WARM_UP = 40;

const spec = visionSpec({
  embed_dim: 32,
  vision_cfg: { image_size: 16, layers: 3, width: 96, head_width: 48, patch_size: 8 },
  text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 1, layers: 1 },
});
const { base, vectors } = smallModel(spec, 2);
/** What a step would leave behind that did not dispose the composed encoder. */
const encoderBytes = [...base.values()].reduce((sum, { data }) => sum + 4 * data.length, 0);

/** Steps down Σ features² / 2. */
async function train(encoder: CompiledEncoder, steps: number, onStep: (step: number) => void = () => undefined): Promise<NamedArrays> {
  const values = Object.fromEntries(Object.entries(encoder.initialCoefficients()).map(([name, array]) => [name, array.slice()]));
  let state = initAdamW(values);
  for (let step = 1; step <= steps; step++) {
    const images = inputTensor(smallInputs(spec, 8, step));
    const composed = await encoder.compose(values);
    const pass = await composed.forward(images);
    const gradients = await pass.backward(pass.features);
    (await composed.features(images)).dispose();
    pass.dispose();
    composed.dispose();
    images.dispose();
    state = stepAdamW(values, gradients, state, 1e-2);
    onStep(step);
  }
  return values;
}

withTensorFlow(() => describe("learning on TensorFlow", () => {
  it.each<NonNullable<CompileOptions["mode"]>>(["standard", "linearised"])("ten steps give the same bytes twice, %s", async (mode) => {
    await onCpu.activate();
    const runs: Float32Array[] = [];
    for (let run = 0; run < 2; run++) {
      const encoder = await onCpu.compile(spec, base, vectors, blockwise(), { mode });
      runs.push((await train(encoder, 10))["coef"]!);
      encoder.dispose();
    }
    expect(runs[0]!.some((value) => value !== 0)).toBe(true);
    expect(Buffer.from(runs[1]!.buffer).equals(Buffer.from(runs[0]!.buffer))).toBe(true);
  });

  it(`holds tensors and memory flat over ${STEPS} steps`, async () => {
    await onCpu.activate();
    setFlagsFromString("--expose_gc");
    const collect = runInNewContext("gc") as () => void;
    const backend = tensorFlowBackend();
    const counts = (): number[] => [tf.memory().numTensors, backend.numDataIds(), backend.binding.getNumOfTensors()];
    const before = counts();
    const encoder = await onCpu.compile(spec, base, vectors, blockwise());
    await train(encoder, 1);
    const resident = counts();
    const held = new Map<number, number>();
    await train(encoder, WARM_UP + STEPS, (step) => {
      expect(counts()).toEqual(resident);
      if (step % 10) return;
      collect();
      held.set(step, process.memoryUsage().rss);
    });
    await encoder.setVectors(vectors.slice(1));
    await train(encoder, 1);
    encoder.dispose();
    expect(counts()).toEqual(before);
    // A tenth of what would pile up if no step gave an encoder back.
    expect(held.get(WARM_UP + STEPS)! - held.get(WARM_UP)!).toBeLessThan((STEPS * encoderBytes) / 10);
  });
}));
