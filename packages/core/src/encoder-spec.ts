/** Where in the network a parameter block sits. */
export type BlockKind =
  | "patch_embedding" | "class_embedding" | "positional_embedding" | "token_embedding"
  | "norm" | "attention_input" | "attention_output" | "mlp_input" | "mlp_output"
  | "convolution" | "projection"
  /** A parameter of the other tower that a reference checkpoint carries along; it takes no part in the forward pass. */
  | "leftover";

/** One parameter tensor of the encoder: a weight or a bias (paper, section 3). */
export interface BlockSpec {
  /** open_clip name, e.g. `visual.transformer.resblocks.0.attn.in_proj_weight`. */
  readonly name: string;
  readonly shape: readonly number[];
  readonly kind: BlockKind;
  readonly role: "weight" | "bias";
  /** Index of the residual block, or of the stage in a ResNet; null outside. */
  readonly layer: number | null;
}

export type Activation = "quick_gelu" | "gelu";

interface TransformerSizes {
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly mlpWidth: number;
  readonly activation: Activation;
  /** D, the length of a feature. */
  readonly outputWidth: number;
  /** In the order of the state dict, which is the order of coefficient columns. */
  readonly blocks: readonly BlockSpec[];
}

/** Vision transformer of CLIP: features `(batch, outputWidth)` of images `(batch, imageSize, imageSize, 3)`. */
export interface VitSpec extends TransformerSizes {
  readonly family: "vit";
  /** Prefix of the parameter names: `visual.` in open_clip. */
  readonly prefix: string;
  readonly imageSize: number;
  readonly patchSize: number;
}

/** Causal text transformer of CLIP: features `(batch, outputWidth)` of token ids `(batch, contextLength)`. */
export interface TextTransformerSpec extends TransformerSizes {
  readonly family: "text";
  readonly prefix: string;
  readonly contextLength: number;
  readonly vocabularySize: number;
}

/** A constant tensor of the pre-trained model: stored beside the parameters, never composed and never trained. */
export interface BufferSpec {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * ResNet of CLIP with anti-aliased strides and attention pooling (RN50, RN101): features `(batch, outputWidth)` of
 * images `(batch, imageSize, imageSize, 3)`.
 */
export interface ModifiedResNetSpec {
  readonly family: "resnet";
  readonly prefix: string;
  readonly imageSize: number;
  /** Bottlenecks in each of the four stages. */
  readonly layers: readonly [number, number, number, number];
  /** Channels after the stem; attention pooling has 32 times as many. */
  readonly width: number;
  /** Of attention pooling. */
  readonly heads: number;
  readonly outputWidth: number;
  readonly blocks: readonly BlockSpec[];
  /** Running statistics of BatchNorm: those of the base model stay in every composed and fine-tuned one. */
  readonly buffers: readonly BufferSpec[];
}

/** An encoder of images `(batch, imageSize, imageSize, 3)`. */
export type ImageEncoderSpec = VitSpec | ModifiedResNetSpec;

/** What an encoder is, as data: backends compile it, `clip` builds it from a config. */
export type EncoderSpec = ImageEncoderSpec | TextTransformerSpec;

/** The constant tensors that an encoder reads from its base model. */
export function buffersOf(spec: EncoderSpec): readonly BufferSpec[] {
  return spec.family === "resnet" ? spec.buffers : [];
}

/** The shape of one batch of inputs. */
export function inputShape(spec: EncoderSpec, batch: number): number[] {
  return spec.family === "text" ? [batch, spec.contextLength] : [batch, spec.imageSize, spec.imageSize, 3];
}
