import type { Graph, Value } from "./graph.js";
import { layerNorm, layerNormGradient, layerNormTangent } from "./layer-norm.js";
import { declareParameters, type ParameterSlot, type StageKind } from "./stage.js";

export interface PatchSizes {
  readonly imageSize: number;
  readonly patchSize: number;
  readonly width: number;
}

/** Values of one patch, in the order of the convolution's kernel: channel, row, column. */
export function patchLength({ patchSize }: Pick<PatchSizes, "patchSize">): number {
  return 3 * patchSize * patchSize;
}

/** Images `(batch, S, S, 3)` as patches `(batch · grid², 3 · patch²)`, row-major over the grid. */
export function extractPatches(
  images: ArrayLike<number>,
  patches: Float32Array,
  batch: number,
  { imageSize, patchSize }: PatchSizes,
): void {
  const grid = imageSize / patchSize;
  let next = 0;
  for (let image = 0; image < batch; image++) {
    for (let row = 0; row < grid; row++) {
      for (let column = 0; column < grid; column++) {
        const corner = ((image * imageSize + row * patchSize) * imageSize + column * patchSize) * 3;
        for (let channel = 0; channel < 3; channel++) {
          for (let y = 0; y < patchSize; y++) {
            let from = corner + y * imageSize * 3 + channel;
            for (let x = 0; x < patchSize; x++, from += 3) patches[next++] = images[from]!;
          }
        }
      }
    }
  }
}

/**
 * The first stage of an image encoder, e = [class | patches · W_convᵀ] + positions, y = LN_pre(e). x are patches
 * `(batch · grid², 3 · patch²)`, y `(batch · tokens, width)`, tokens = grid² + 1.
 */
export function patchEmbedding(sizes: PatchSizes): StageKind {
  const { imageSize, patchSize, width } = sizes;
  const patches = (imageSize / patchSize) ** 2;
  const tokens = patches + 1;
  const length = patchLength(sizes);
  const parameters: ParameterSlot[] = [
    { name: "class", shape: [width] },
    { name: "positions", shape: [tokens, width] },
    { name: "convolution", shape: [width, length] },
    { name: "norm_weight", shape: [width] },
    { name: "norm_bias", shape: [width] },
  ];

  /** [class | patches · W_convᵀ] + positions, which is linear in the parameters. */
  function embed(graph: Graph, x: Value, p: Record<string, Value>): Value {
    const byImage = graph.reshape(graph.gemm(x, p["convolution"]!, { transB: true }), -1, patches, width);
    const count = graph.node("Shape", [byImage], { start: 0, end: 1 });
    const extent = graph.node("Concat", [count, graph.integers(1, width)], { axis: 0 });
    const first = graph.node("Expand", [graph.reshape(p["class"]!, 1, 1, width), extent]);
    return graph.reshape(graph.add(graph.node("Concat", [first, byImage], { axis: 1 }), p["positions"]!), -1, width);
  }

  return {
    key: ["patches", imageSize, patchSize, width].join("/"),
    parameters,
    input: { name: "x", shape: (batch) => [batch * patches, length] },
    output: { name: "y", shape: (batch) => [batch * tokens, width] },
    saved: [{ name: "embedded", shape: (batch) => [batch * tokens, width] }],
    passesGradient: false,

    forward(graph, save) {
      const p = declareParameters(graph, parameters);
      const embedded = embed(graph, graph.input("x", ["P", length]), p);
      graph.output("y", layerNorm(graph, embedded, p["norm_weight"]!, p["norm_bias"]!), ["R", width]);
      if (save) graph.output("embedded", embedded, ["R", width]);
    },

    /** de = LN_pre′(dy);  dpositions = Σ_images de;  dclass = its first row;  dW_conv = de(patches)ᵀ · x */
    backward(graph) {
      const p = declareParameters(graph, parameters, ["norm_weight"]);
      const embedded = graph.input("embedded", ["R", width]);
      const norm = layerNormGradient(graph, embedded, p["norm_weight"]!, graph.input("d_y", ["R", width]), width);
      graph.output("d_norm_weight", norm.dWeight, [width]);
      graph.output("d_norm_bias", norm.dBias, [width]);
      const byImage = graph.reshape(norm.dx, -1, tokens, width);
      const positions = graph.node("ReduceSum", [byImage, graph.integers(0)], { keepdims: 0 });
      graph.output("d_positions", positions, [tokens, width]);
      graph.output("d_class", graph.reshape(graph.slice(positions, 0, 0, 1), width), [width]);
      const ofPatches = graph.reshape(graph.slice(byImage, 1, 1, tokens), -1, width);
      graph.output("d_convolution", graph.gemm(ofPatches, graph.input("x", ["P", length]), { transA: true }), [width, length]);
    },

    tangent(graph) {
      const p = declareParameters(graph, parameters, ["norm_weight"]);
      const t = declareParameters(graph, parameters, undefined, "t_");
      const embedded = graph.input("embedded", ["R", width]);
      const tEmbedded = embed(graph, graph.input("x", ["P", length]), t);
      const ty = layerNormTangent(graph, embedded, p["norm_weight"]!, tEmbedded, t["norm_weight"]!, t["norm_bias"]!, width);
      graph.output("t_y", ty, ["R", width]);
    },
  };
}
