import {
  buffersOf, encodeOnnxModel, InputError, OnnxGraph, onnxModelBytes, sameShape, widen,
  type ImageEncoderSpec, type NamedHostTensors, type OnnxModel, type OnnxValue,
} from "@atlas-tv/core";
import { resNetGraph } from "./onnx-resnet.js";
import { vitGraph } from "./onnx-vit.js";

/** Names of the one input and the one output, as transformers' exports have them. */
export const ONNX_INPUT = "pixel_values";
export const ONNX_OUTPUT = "image_embeds";

/** Protocol buffers end here; larger models keep their weights in a second file, which is not written. */
const MAX_BYTES = 2 ** 31 - 1;

function encoderModel(spec: ImageEncoderSpec, tensors: NamedHostTensors, metadata: Readonly<Record<string, string>>): OnnxModel {
  const graph = new OnnxGraph();
  const { imageSize, outputWidth } = spec;
  const images = graph.input(ONNX_INPUT, ["batch", 3, imageSize, imageSize]);
  const values = new Map<string, OnnxValue>();
  for (const { name, shape } of [...spec.blocks.filter(({ kind }) => kind !== "leftover"), ...buffersOf(spec)]) {
    const tensor = tensors.get(name);
    if (tensor === undefined || !sameShape(tensor.shape, shape)) {
      throw new InputError({
        where: `block "${name}" of the encoder to write`,
        got: tensor === undefined ? "nothing" : `shape [${tensor.shape.join(", ")}]`,
        expected: `shape [${shape.join(", ")}]`,
      });
    }
    values.set(name, graph.weight(name, shape, () => widen(tensor)));
  }
  const weights = (name: string): OnnxValue => values.get(name)!;
  const features = spec.family === "vit" ? vitGraph(graph, images, spec, weights) : resNetGraph(graph, images, spec, weights);
  graph.output(ONNX_OUTPUT, features, ["batch", outputWidth]);
  return graph.model(metadata);
}

/**
 * An image encoder as one ONNX file of standard operators (opset 17), in chunks: `pixel_values` `(batch, 3, S, S)`,
 * normalised, to `image_embeds` `(batch, D)`, not normalised. Weights are float32 under the names of the specification.
 * @param metadata free text by name.
 * @throws InputError for a missing or wrongly shaped block, and for more than 2 GiB.
 */
export function encodeOnnxEncoder(
  spec: ImageEncoderSpec,
  tensors: NamedHostTensors,
  metadata: Readonly<Record<string, string>> = {},
): Iterable<Uint8Array> {
  const model = encoderModel(spec, tensors, metadata);
  const bytes = onnxModelBytes(model);
  if (bytes <= MAX_BYTES) return encodeOnnxModel(model);
  throw new InputError({
    where: "ONNX file to write",
    got: `${bytes} bytes`,
    expected: `at most ${MAX_BYTES}: protocol buffers hold no more`,
    next: "write safetensors or a Hugging Face folder instead",
  });
}
