import type { OnnxGraph, OnnxValue, VitSpec } from "@atlas-tv/core";

/** The value of a parameter block or buffer, by its name in the specification. */
export type Weights = (name: string) => OnnxValue;

/** Of PyTorch's LayerNorm, with which CLIP was trained. */
const LAYER_NORM_EPSILON = 1e-5;

/** x · Wᵀ + b of rows, W and b by PyTorch's names. */
export function linear(graph: OnnxGraph, x: OnnxValue, weight: OnnxValue, bias: OnnxValue): OnnxValue {
  return graph.gemm(x, weight, { transB: true, c: bias });
}

function layerNorm(graph: OnnxGraph, x: OnnxValue, name: string, weights: Weights): OnnxValue {
  const inputs = [x, weights(`${name}.weight`), weights(`${name}.bias`)];
  return graph.node("LayerNormalization", inputs, { axis: -1, epsilon: { float: LAYER_NORM_EPSILON } });
}

function activate(graph: OnnxGraph, x: OnnxValue, { activation }: VitSpec): OnnxValue {
  if (activation === "quick_gelu") return graph.mul(x, graph.node("Sigmoid", [graph.mul(x, graph.scalar(1.702))]));
  const error = graph.node("Erf", [graph.mul(x, graph.scalar(Math.SQRT1_2))]);
  return graph.mul(graph.mul(x, graph.scalar(0.5)), graph.add(error, graph.scalar(1)));
}

/** softmax(q · kᵀ / √(head width)) · v, each `(batch, heads, tokens, head width)`. */
export function attend(graph: OnnxGraph, q: OnnxValue, k: OnnxValue, v: OnnxValue, headWidth: number): OnnxValue {
  const scores = graph.matmul(graph.mul(q, graph.scalar(headWidth ** -0.5)), graph.transpose(k, 0, 1, 3, 2));
  return graph.matmul(graph.node("Softmax", [scores], { axis: -1 }), v);
}

/** A row `(1, 1, width)` once for each image of `like` `(batch, …)`. */
function perImage(graph: OnnxGraph, row: OnnxValue, width: number, like: OnnxValue): OnnxValue {
  const count = graph.node("Shape", [like], { start: 0, end: 1 });
  return graph.node("Expand", [row, graph.node("Concat", [count, graph.integers(1, width)], { axis: 0 })]);
}

/** Tokens `(batch · tokens, width)` of images `(batch, 3, S, S)`. */
function embed(graph: OnnxGraph, images: OnnxValue, spec: VitSpec, weights: Weights): OnnxValue {
  const { prefix, patchSize, width } = spec;
  const convolved = graph.node("Conv", [images, weights(`${prefix}conv1.weight`)], {
    kernel_shape: [patchSize, patchSize], strides: [patchSize, patchSize],
  });
  const patches = graph.transpose(graph.reshape(convolved, 0, width, -1), 0, 2, 1);
  const first = perImage(graph, graph.reshape(weights(`${prefix}class_embedding`), 1, 1, width), width, images);
  const all = graph.node("Concat", [first, patches], { axis: 1 });
  return graph.reshape(graph.add(all, weights(`${prefix}positional_embedding`)), -1, width);
}

/** Rows `(batch · tokens, width)` through x += attention(ln_1 x); x += c_proj(act(c_fc(ln_2 x))). */
function residualBlock(graph: OnnxGraph, x: OnnxValue, spec: VitSpec, tokens: number, name: string, weights: Weights): OnnxValue {
  const { width, heads } = spec;
  const headWidth = width / heads;
  const parameter = (part: string): OnnxValue => weights(`${name}.${part}`);
  const normed = layerNorm(graph, x, `${name}.ln_1`, weights);
  const projected = linear(graph, normed, parameter("attn.in_proj_weight"), parameter("attn.in_proj_bias"));
  const byHead = graph.transpose(graph.reshape(projected, -1, tokens, 3 * heads, headWidth), 0, 2, 1, 3);
  const [q, k, v] = graph.nodes("Split", [byHead], 3, { axis: 1 }) as [OnnxValue, OnnxValue, OnnxValue];
  const mixed = graph.reshape(graph.transpose(attend(graph, q, k, v, headWidth), 0, 2, 1, 3), -1, width);
  const attended = graph.add(x, linear(graph, mixed, parameter("attn.out_proj.weight"), parameter("attn.out_proj.bias")));
  const hidden = linear(graph, layerNorm(graph, attended, `${name}.ln_2`, weights), parameter("mlp.c_fc.weight"), parameter("mlp.c_fc.bias"));
  const out = linear(graph, activate(graph, hidden, spec), parameter("mlp.c_proj.weight"), parameter("mlp.c_proj.bias"));
  return graph.add(attended, out);
}

/** Features `(batch, outputWidth)` of images `(batch, 3, S, S)`. */
export function vitGraph(graph: OnnxGraph, images: OnnxValue, spec: VitSpec, weights: Weights): OnnxValue {
  const { prefix, imageSize, patchSize, width, layers } = spec;
  const tokens = (imageSize / patchSize) ** 2 + 1;
  let rows = layerNorm(graph, embed(graph, images, spec, weights), `${prefix}ln_pre`, weights);
  for (let layer = 0; layer < layers; layer++) {
    rows = residualBlock(graph, rows, spec, tokens, `${prefix}transformer.resblocks.${layer}`, weights);
  }
  const first = graph.reshape(graph.slice(graph.reshape(rows, -1, tokens, width), 1, 0, 1), -1, width);
  return graph.matmul(layerNorm(graph, first, `${prefix}ln_post`, weights), weights(`${prefix}proj`));
}
