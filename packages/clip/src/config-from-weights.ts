import { InputError, type StateDict } from "@atlas-tv/core";
import { parseClipConfig, type ClipConfig, type ClipConfigInput, type ResNetClipConfigInput } from "./config.js";
import { RESNET_STRIDE } from "./resnet-blocks.js";

/** What the shapes of weights do not tell. */
export interface ArchitectureFacts {
  /** Attention heads of the image tower and of the text tower; null for those of width 64, as OpenAI's and most of open_clip's are. */
  readonly heads: { readonly visual: number | null; readonly text: number | null };
  readonly quickGelu: boolean;
}

const HEAD_WIDTH = 64;

/** Layers of the text tower of OpenAI's models, for a file that holds its embeddings alone. */
const TEXT_LAYERS = 12;

type Shape = readonly number[];

class Shapes {
  constructor(readonly tensors: StateDict, readonly where: string) {}

  /** Extents of a tensor that must be there. */
  of(name: string, axes: number): Shape {
    const shape = this.tensors.get(name)?.shape;
    if (shape?.length === axes) return shape;
    throw new InputError({
      where: this.where,
      got: shape === undefined ? `no tensor "${name}"` : `"${name}" of shape [${shape.join(", ")}]`,
      expected: "the weights of a CLIP's image encoder under open_clip's names",
      next: "give the configuration of the model as an open_clip or Hugging Face JSON file",
    });
  }

  /** How many numbers stand in names after `prefix`: the layers of a tower. */
  count(prefix: string): number {
    const numbers = new Set<string>();
    for (const name of this.tensors.keys()) if (name.startsWith(prefix)) numbers.add(name.slice(prefix.length).split(".")[0]!);
    return numbers.size;
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }
}

function vision(shapes: Shapes, heads: number | null): ClipConfigInput["vision_cfg"] {
  const [width = 0, , patch = 0] = shapes.of("visual.conv1.weight", 4);
  const [tokens = 0] = shapes.of("visual.positional_embedding", 2);
  const [mlpWidth = 0] = shapes.of("visual.transformer.resblocks.0.mlp.c_fc.weight", 2);
  return {
    image_size: Math.round(Math.sqrt(tokens - 1)) * patch,
    patch_size: patch,
    layers: shapes.count("visual.transformer.resblocks."),
    width,
    head_width: heads === null ? HEAD_WIDTH : width / heads,
    mlp_ratio: mlpWidth / width,
  };
}

function resNet(shapes: Shapes, heads: number | null): ResNetClipConfigInput["vision_cfg"] {
  const [width = 0] = shapes.of("visual.layer1.0.conv1.weight", 4);
  const [positions = 0, channels = 0] = shapes.of("visual.attnpool.positional_embedding", 2);
  const stage = (number: number): number => shapes.count(`visual.layer${number}.`);
  return {
    image_size: Math.round(Math.sqrt(positions - 1)) * RESNET_STRIDE,
    layers: [stage(1), stage(2), stage(3), stage(4)],
    width,
    head_width: heads === null ? HEAD_WIDTH : channels / heads,
  };
}

/** The text tower; of an image encoder of the reference, whose text transformer was taken out, the embeddings that are left. */
function text(shapes: Shapes, heads: number | null): Pick<ClipConfigInput, "text_cfg"> {
  if (!shapes.has("token_embedding.weight")) return {};
  const [vocabulary = 0, width = 0] = shapes.of("token_embedding.weight", 2);
  const [context = 0] = shapes.of("positional_embedding", 2);
  const layers = shapes.count("transformer.resblocks.");
  const mlp = layers === 0 ? {} : { mlp_ratio: shapes.of("transformer.resblocks.0.mlp.c_fc.weight", 2)[0]! / width };
  const shared = { context_length: context, vocab_size: vocabulary, width, heads: heads ?? Math.max(1, Math.floor(width / HEAD_WIDTH)) };
  return { text_cfg: { ...shared, layers: layers || TEXT_LAYERS, ...mlp } };
}

/**
 * The configuration of a CLIP from the shapes of its weights, and from what shapes do not tell.
 * @param tensors under open_clip's names, of the image encoder at least.
 * @throws InputError when they are not those of a vision transformer or a ResNet of CLIP's.
 */
export function configFromWeights(tensors: StateDict, { heads, quickGelu }: ArchitectureFacts, where: string): ClipConfig {
  const shapes = new Shapes(tensors, where);
  const isResNet = shapes.has("visual.layer1.0.conv1.weight");
  const [embedding = 0] = isResNet ? shapes.of("visual.attnpool.c_proj.weight", 2) : shapes.of("visual.proj", 2).slice(1);
  return parseClipConfig({
    embed_dim: embedding,
    quick_gelu: quickGelu,
    vision_cfg: isResNet ? resNet(shapes, heads.visual) : vision(shapes, heads.visual),
    ...text(shapes, heads.text),
  }, where);
}
