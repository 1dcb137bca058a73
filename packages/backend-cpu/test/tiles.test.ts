import { textSpec } from "@atlas-tv/clip";
import {
  blockwise, compileDefault, float32ToFloat16, inputTensor, widen, type HostTensor, type NamedHostTensors,
  type FullTaskVector,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { closeTo } from "../../core/test/fixture-files.js";
import { CpuBackend } from "../src/index.js";
import { scalarPlan } from "../src/scalar-plan.js";
import { smallInputs, smallModel } from "./small-models.js";

/** A token table of more than one tile. */
const spec = textSpec({
  embed_dim: 6,
  vision_cfg: { image_size: 4, layers: 1, width: 8, head_width: 8, patch_size: 4 },
  text_cfg: { context_length: 5, vocab_size: 60001, width: 9, heads: 1, layers: 1 },
});
const TABLE = "token_embedding.weight";

function narrowed(blocks: NamedHostTensors, name: string): NamedHostTensors {
  const from = blocks.get(name)!;
  const half: HostTensor = { dtype: "F16", shape: from.shape, data: float32ToFloat16(widen(from)) };
  return new Map([...blocks, [name, half]]);
}

describe("blocks that are read in tiles", () => {
  it.each(["standard", "linearised"] as const)("compose and reduce like the default, whatever vectors store or lack, %s", async (mode) => {
    const backend = new CpuBackend();
    await backend.activate();
    const { base: full, vectors: exact } = smallModel(spec, 3, "F32");
    const base = narrowed(full, TABLE);
    const [first, second, third] = exact as [FullTaskVector, FullTaskVector, FullTaskVector];
    const lacking = { name: second.name, blocks: new Map([...second.blocks].filter(([name]) => name !== TABLE)) };
    const vectors = [{ ...first, blocks: narrowed(first.blocks, TABLE) }, lacking, third];
    expect(scalarPlan(spec, base, vectors).tiled.get(TABLE)!.tiles.length).toBeGreaterThan(1);

    const inputs = inputTensor(smallInputs(spec, 3));
    const coef = Float32Array.from({ length: 3 * spec.blocks.length }, (_, i) => Math.sin(i));
    const encoders = [
      await backend.compile(spec, base, vectors, blockwise(), { mode }),
      await compileDefault(spec, base, vectors, blockwise(), { mode }),
    ];
    const [actual, expected] = await Promise.all(encoders.map(async (encoder) => {
      const composed = await encoder.compose({ coef });
      const pass = await composed.forward(inputs);
      const direction = tf.ones([3, spec.outputWidth]) as tf.Tensor2D;
      const features = Float32Array.from(await pass.features.data());
      const result = { features, gradient: (await pass.backward(direction))["coef"]! };
      direction.dispose();
      pass.dispose();
      composed.dispose();
      encoder.dispose();
      return result;
    }));
    closeTo(actual!.features, expected!.features, 1e-5, "features");
    closeTo(actual!.gradient, expected!.gradient, 5e-5, "gradient");
    inputs.dispose();
    const table = spec.blocks.findIndex(({ name }) => name === TABLE);
    expect(actual!.gradient[spec.blocks.length + table]).toBe(0);
    expect(actual!.gradient[table]).not.toBe(0);
  });
});
