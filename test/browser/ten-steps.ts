import "@tensorflow/tfjs-backend-cpu";
import {
  blockwise, CrossEntropyObjective, difference, learn, PlainBackend, Random, randomParameters,
  type HostTensor, type LabelledBatch, type NamedHostTensors,
} from "@atlas-tv/core";
import { visionSpec } from "@atlas-tv/clip";

const STEPS = 10;
const CLASSES = 3;
const ROWS = 6;
const SIDE = 8;

export interface TenSteps {
  readonly losses: number[];
  readonly coefficients: number[];
}

function nudged(base: NamedHostTensors, random: Random): NamedHostTensors {
  return new Map([...base].map(([name, { shape, data }]): [string, HostTensor] => {
    return [name, { dtype: "F32", shape, data: Float32Array.from(data, (value) => value + 0.05 * random.normal()) }];
  }));
}

/** Ten steps of blockwise coefficients for a tiny random ViT and one batch of noise, on tfjs's plain CPU backend. */
export async function tenSteps(): Promise<TenSteps> {
  const random = new Random("ten steps");
  const spec = visionSpec({
    embed_dim: 8,
    vision_cfg: { image_size: SIDE, layers: 2, width: 8, head_width: 4, patch_size: 4 },
    text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 2, layers: 1 },
  });
  const base = randomParameters(spec, random.fork("base"));
  const vectors = ["a", "b"].map((name) => difference(name, base, nudged(base, random.fork(name))));
  const backend = new PlainBackend("cpu");
  await backend.activate();
  const encoder = await backend.compile(spec, base, vectors, blockwise());

  const classNames = Array.from({ length: CLASSES }, (_, label) => String(label));
  const weight = Float32Array.from({ length: CLASSES * spec.outputWidth }, () => 3 * random.normal());
  const batch: LabelledBatch = {
    images: { data: Float32Array.from({ length: ROWS * SIDE * SIDE * 3 }, () => random.normal()), shape: [ROWS, SIDE, SIDE, 3] },
    labels: Int32Array.from({ length: ROWS }, (_, row) => row % CLASSES),
  };
  const losses: number[] = [];
  const { last } = await learn({
    encoder,
    objective: new CrossEntropyObjective({ name: "noise", classNames, width: spec.outputWidth, weight }),
    batches: () => [batch],
    batchesPerEpoch: 1,
    epochs: STEPS,
    learningRate: 0.1,
    onEvent: (event) => { if (event.type === "step") losses.push(event.loss); },
  });
  encoder.dispose();
  return { losses, coefficients: [...last["coef"]!] };
}
