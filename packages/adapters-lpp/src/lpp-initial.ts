import { unitRows, type ClassificationHead, type LabelledFeatures } from "@atlas-tv/core";
import { textEmbeddings, type LppParameters } from "./lpp-model.js";

/** Where LP++ starts and how far it steps, all from the shots (Huang et al. 2024, sections 3.2 and 3.3, and their code). */
export interface LppStart {
  readonly parameters: LppParameters;
  /** Step size of weight and bias: 4 N / λmax(FᵀF), the inverse of the loss's Lipschitz constant. */
  readonly weightRate: number;
  /** Step size of α: N / (4 max_c Σᵢ (fᵢ · t_c)²). */
  readonly alphaRate: number;
}

/** α starts at so many times the logit scale times the mean similarity of shots and class: 250 for CLIP's scale of 100. */
const INITIAL_BLEND = 2.5;

/** Power iteration stops when the eigenvalue changes by less than this share; float32 data knows no more. */
const EIGENVALUE_TOLERANCE = 1e-12;
const MOST_ITERATIONS = 10_000;

/** λmax(FᵀF) of unit rows F (N × D), in float64. */
export function largestEigenvalue(rows: Float32Array, width: number): number {
  const count = rows.length / width;
  let vector = new Float64Array(width);
  // Rows of CLIP features share a direction, which is close to the eigenvector; the ramp keeps it off a zero mean.
  rows.forEach((value, at) => { vector[at % width]! += value + 1e-3 * (1 + (at % width) / width); });
  let value = 0;
  for (let iteration = 0; iteration < MOST_ITERATIONS; iteration++) {
    const length = Math.hypot(...vector);
    vector = vector.map((entry) => entry / length);
    const next = new Float64Array(width);
    for (let row = 0; row < count; row++) {
      const from = row * width;
      let product = 0;
      for (let i = 0; i < width; i++) product += rows[from + i]! * vector[i]!;
      for (let i = 0; i < width; i++) next[i]! += product * rows[from + i]!;
    }
    const before = value;
    value = next.reduce((sum, entry, i) => sum + entry * vector[i]!, 0);
    if (Math.abs(value - before) <= EIGENVALUE_TOLERANCE * value) break;
    vector = next;
  }
  return value;
}

/** Unit features · unit text embeddings, N × C. */
function similarities(rows: Float32Array, text: Float32Array, width: number): Float64Array {
  const [count, classes] = [rows.length / width, text.length / width];
  const out = new Float64Array(count * classes);
  for (let row = 0; row < count; row++) {
    for (let c = 0; c < classes; c++) {
      let sum = 0;
      for (let i = 0; i < width; i++) sum += rows[row * width + i]! * text[c * width + i]!;
      out[row * classes + c] = sum;
    }
  }
  return out;
}

/** Mean over the classes that have shots of the mean similarity of a class's shots with its own text embedding. */
function meanOwnSimilarity(similarity: Float64Array, labels: Int32Array, classes: number): number {
  const sums = new Float64Array(classes);
  const counts = new Float64Array(classes);
  labels.forEach((label, row) => {
    sums[label]! += similarity[row * classes + label]!;
    counts[label]!++;
  });
  const means = Array.from(sums, (sum, c) => sum / counts[c]!).filter((_mean, c) => counts[c]! > 0);
  return means.reduce((sum, mean) => sum + mean, 0) / means.length;
}

/** Weights are the sums of each class's unit features, α one value for all classes, the bias 0. */
export function lppStart(head: ClassificationHead, shots: LabelledFeatures): LppStart {
  const { width, labels } = shots;
  const classes = head.classNames.length;
  const rows = unitRows(shots);
  const { unit: text, scale } = textEmbeddings(head);
  const similarity = similarities(rows, text, width);
  const weight = new Float32Array(classes * width);
  labels.forEach((label, row) => { for (let i = 0; i < width; i++) weight[label * width + i]! += rows[row * width + i]!; });
  const squares = new Float64Array(classes);
  similarity.forEach((value, at) => { squares[at % classes]! += value * value; });
  const alpha = INITIAL_BLEND * scale * meanOwnSimilarity(similarity, labels, classes);
  return {
    parameters: { weight, bias: new Float32Array(classes), alpha: new Float32Array(classes).fill(alpha) },
    weightRate: (4 * labels.length) / largestEigenvalue(rows, width),
    alphaRate: labels.length / (4 * Math.max(...squares)),
  };
}
