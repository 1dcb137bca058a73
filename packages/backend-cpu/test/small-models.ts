import { knownModel, textSpec, visionSpec } from "@atlas-tv/clip";
import {
  difference, randomParameters, Random, sizeOf, type Activation, type EncoderInputs, type EncoderSpec, type VitSpec,
  type FullTaskVector, type NamedHostTensors, type Storage,
} from "@atlas-tv/core";

const SIZES = {
  embed_dim: 12,
  vision_cfg: { image_size: 12, layers: 3, width: 16, head_width: 8, patch_size: 4, mlp_ratio: 3 },
  text_cfg: { context_length: 7, vocab_size: 23, width: 16, heads: 2, layers: 2, mlp_ratio: 2 },
};

const ACTIVATIONS: readonly Activation[] = ["quick_gelu", "gelu"];

function resNet(imageSize: number, layers: [number, number, number, number], width: number, heads: number): EncoderSpec {
  return visionSpec({ ...SIZES, vision_cfg: { image_size: imageSize, layers, width, head_width: (32 * width) / heads } });
}

export const SMALL_SPECS: Readonly<Record<string, EncoderSpec>> = {
  ...Object.fromEntries(ACTIVATIONS.flatMap((activation) => {
    const config = { ...SIZES, quick_gelu: activation === "quick_gelu" };
    return [[`vit with ${activation}`, visionSpec(config)], [`text with ${activation}`, textSpec(config)]];
  })),
  "resnet with 3 channels first": resNet(64, [1, 2, 1, 3], 6, 4),
  "resnet with 5 channels first": resNet(64, [2, 1, 2, 1], 10, 5),
};

/** A vision transformer by open_clip's name. */
export function knownVit(name: string): VitSpec {
  const spec = visionSpec(knownModel(name));
  if (spec.family !== "vit") throw new Error(`${name} is no vision transformer`);
  return spec;
}

export interface SmallModel {
  readonly spec: EncoderSpec;
  readonly base: NamedHostTensors;
  readonly vectors: readonly FullTaskVector[];
}

/** Every parameter off its initial value, so that none of its gradients is trivial. */
function perturbed(base: NamedHostTensors, random: Random): NamedHostTensors {
  return new Map([...base].map(([name, { shape }]) => {
    const from = base.get(name)!;
    const own = random.fork(name);
    return [name, { dtype: "F32", shape, data: Float32Array.from(from.data, (value) => value + 0.1 * own.normal()) }];
  }));
}

/** A model of random weights with n random task vectors. */
export function smallModel(spec: EncoderSpec, n: number, storage: Storage = "F16", seed = 7): SmallModel {
  const random = new Random(seed);
  const base = perturbed(randomParameters(spec, random.fork("base")), random.fork("shift"));
  const vectors = Array.from({ length: n }, (_, i) => difference(`vector ${i}`, base, perturbed(base, random.fork(`vector ${i}`)), storage));
  return { spec, base, vectors };
}

/** Random images, or token ids with the largest id at a random place. */
export function smallInputs(spec: EncoderSpec, batch: number, seed = 11): EncoderInputs {
  const random = new Random(seed);
  if (spec.family === "text") {
    const { contextLength, vocabularySize } = spec;
    const data = Float32Array.from({ length: batch * contextLength }, () => random.below(vocabularySize - 1));
    for (let text = 0; text < batch; text++) data[text * contextLength + random.below(contextLength)] = vocabularySize - 1;
    return { data, shape: [batch, contextLength] };
  }
  const shape = [batch, spec.imageSize, spec.imageSize, 3];
  return { data: Float32Array.from({ length: sizeOf(shape) }, () => random.normal()), shape };
}
