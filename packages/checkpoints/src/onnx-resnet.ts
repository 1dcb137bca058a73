import type { ModifiedResNetSpec, OnnxGraph, OnnxValue } from "@atlas-tv/core";
import { attend, linear, type Weights } from "./onnx-vit.js";

/** Of PyTorch's BatchNorm, with which CLIP was trained. */
const BATCH_NORM_EPSILON = 1e-5;

/** A convolution and its BatchNorm with running statistics; x `(batch, channels, height, width)`. */
function convolve(graph: OnnxGraph, x: OnnxValue, kernel: string, norm: string, side: 1 | 3, stride: 1 | 2, weights: Weights): OnnxValue {
  const border = (side - 1) / 2;
  const convolved = graph.node("Conv", [x, weights(`${kernel}.weight`)], {
    kernel_shape: [side, side], strides: [stride, stride], pads: [border, border, border, border],
  });
  const parts = ["weight", "bias", "running_mean", "running_var"].map((part) => weights(`${norm}.${part}`));
  return graph.node("BatchNormalization", [convolved, ...parts], { epsilon: { float: BATCH_NORM_EPSILON } });
}

const relu = (graph: OnnxGraph, x: OnnxValue): OnnxValue => graph.node("Relu", [x]);

const averagePool = (graph: OnnxGraph, x: OnnxValue): OnnxValue => graph.node("AveragePool", [x], { kernel_shape: [2, 2], strides: [2, 2] });

/** Three convolutions, the first with stride 2, and pooling: a quarter of the side. */
function stem(graph: OnnxGraph, images: OnnxValue, prefix: string, weights: Weights): OnnxValue {
  const layer = (x: OnnxValue, index: number): OnnxValue => {
    return relu(graph, convolve(graph, x, `${prefix}conv${index}`, `${prefix}bn${index}`, 3, index === 1 ? 2 : 1, weights));
  };
  return averagePool(graph, [1, 2, 3].reduce(layer, images));
}

function bottleneck(graph: OnnxGraph, x: OnnxValue, name: string, shrinks: boolean, projected: boolean, weights: Weights): OnnxValue {
  const layer = (from: OnnxValue, index: number, side: 1 | 3): OnnxValue => {
    return convolve(graph, from, `${name}.conv${index}`, `${name}.bn${index}`, side, 1, weights);
  };
  const smaller = (from: OnnxValue): OnnxValue => (shrinks ? averagePool(graph, from) : from);
  const inner = relu(graph, layer(relu(graph, layer(x, 1, 1)), 2, 3));
  const out = layer(smaller(inner), 3, 1);
  const shortcut = projected ? convolve(graph, smaller(x), `${name}.downsample.0`, `${name}.downsample.1`, 1, 1, weights) : x;
  return relu(graph, graph.add(out, shortcut));
}

/** The mean of all positions asks, by multi-head attention, itself and the positions `(batch, channels, side, side)`. */
function attentionPool(graph: OnnxGraph, x: OnnxValue, spec: ModifiedResNetSpec, weights: Weights): OnnxValue {
  const { prefix, heads, width, imageSize } = spec;
  const name = `${prefix}attnpool`;
  const channels = 32 * width;
  const tokens = (imageSize / 32) ** 2 + 1;
  const headWidth = channels / heads;
  const positions = graph.transpose(graph.reshape(x, 0, channels, -1), 0, 2, 1);
  const mean = graph.node("ReduceMean", [positions], { axes: [1], keepdims: 1 });
  const placed = graph.add(graph.node("Concat", [mean, positions], { axis: 1 }), weights(`${name}.positional_embedding`));
  const projected = (rows: OnnxValue, part: string): OnnxValue => {
    return linear(graph, graph.reshape(rows, -1, channels), weights(`${name}.${part}_proj.weight`), weights(`${name}.${part}_proj.bias`));
  };
  const byHead = (rows: OnnxValue, part: string, count: number): OnnxValue => {
    return graph.transpose(graph.reshape(projected(rows, part), -1, count, heads, headWidth), 0, 2, 1, 3);
  };
  const query = byHead(graph.slice(placed, 1, 0, 1), "q", 1);
  const mixed = attend(graph, query, byHead(placed, "k", tokens), byHead(placed, "v", tokens), headWidth);
  return projected(mixed, "c");
}

/** Features `(batch, outputWidth)` of images `(batch, 3, S, S)`. */
export function resNetGraph(graph: OnnxGraph, images: OnnxValue, spec: ModifiedResNetSpec, weights: Weights): OnnxValue {
  let x = stem(graph, images, spec.prefix, weights);
  spec.layers.forEach((depth, stage) => {
    for (let block = 0; block < depth; block++) {
      const first = block === 0;
      x = bottleneck(graph, x, `${spec.prefix}layer${stage + 1}.${block}`, first && stage > 0, first, weights);
    }
  });
  return attentionPool(graph, x, spec, weights);
}
