import { sizeOf } from "./element-type.js";
import type {
  OnnxAttribute, OnnxConstant, OnnxElement, OnnxModel, OnnxNode, OnnxPort, OnnxShape, OnnxWeight,
} from "./onnx-model.js";

/** A tensor inside a graph under construction. */
export interface OnnxValue {
  readonly id: string;
}

/** Position of an optional input that is left out. */
const ABSENT: OnnxValue = { id: "" };

type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** Builds an ONNX graph operation by operation. Names of inputs and outputs are chosen, all others are generated. */
export class OnnxGraph {
  readonly #inputs: OnnxPort[] = [];
  readonly #outputs: { value: OnnxValue; info: OnnxPort }[] = [];
  readonly #constants = new Map<string, OnnxConstant>();
  readonly #weights: OnnxWeight[] = [];
  readonly #nodes: OnnxNode[] = [];
  #next = 0;

  #fresh(): OnnxValue {
    return { id: `_${this.#next++}` };
  }

  input(name: string, shape: OnnxShape, element: OnnxElement = "float32"): OnnxValue {
    this.#inputs.push({ name, element, shape });
    return { id: name };
  }

  /** Makes a value an output. A value has one output name. */
  output(name: string, value: OnnxValue, shape: OnnxShape): void {
    this.#outputs.push({ value, info: { name, element: "float32", shape } });
  }

  /** A float32 tensor that the model holds, fetched when it is written. */
  weight(name: string, shape: readonly number[], data: () => Float32Array): OnnxValue {
    this.#weights.push({ name, shape, data });
    return { id: name };
  }

  /** A constant that equal constants share. */
  #constant(key: string, shape: readonly number[], data: () => Float32Array | BigInt64Array): OnnxValue {
    const known = this.#constants.get(key);
    if (known !== undefined) return { id: known.name };
    const name = `_c${this.#constants.size}`;
    this.#constants.set(key, { name, shape, data: data() });
    return { id: name };
  }

  scalar(value: number): OnnxValue {
    return this.filled(value, []);
  }

  /** A list of whole numbers, as operators take for axes and shapes. */
  integers(...values: number[]): OnnxValue {
    return this.#constant(`integers ${values.join()}`, [values.length], () => BigInt64Array.from(values, BigInt));
  }

  /** A constant of one value repeated. */
  filled(value: number, shape: readonly number[]): OnnxValue {
    return this.#constant(`filled ${value} ${shape.join()}`, shape, () => new Float32Array(sizeOf(shape)).fill(value));
  }

  /** The identity matrix of a size, seen as `shape`. */
  identity(size: number, shape: readonly number[]): OnnxValue {
    return this.#constant(`identity ${shape.join()}`, shape, () => {
      return Float32Array.from({ length: size * size }, (_, i) => Number(i % (size + 1) === 0));
    });
  }

  /** `(size, size)`: `value` above the diagonal, 0 elsewhere. */
  upperTriangle(value: number, size: number): OnnxValue {
    return this.#constant(`upper ${value} ${size}`, [size, size], () => {
      const data = new Float32Array(size * size);
      for (let row = 0; row < size; row++) data.fill(value, row * size + row + 1, (row + 1) * size);
      return data;
    });
  }

  /** An operator with any number of outputs; `domain` defaults to ONNX's own. */
  nodes(type: string, inputs: readonly (OnnxValue | null)[], outputs: number, attributes: Attributes = {}, domain = ""): OnnxValue[] {
    const made = Array.from({ length: outputs }, () => this.#fresh());
    const from = inputs.map((value) => (value ?? ABSENT).id);
    this.#nodes.push({ type, domain, attributes, inputs: from, outputs: made.map(({ id }) => id) });
    return made;
  }

  /** An operator with one output. */
  node(type: string, inputs: readonly (OnnxValue | null)[], attributes: Attributes = {}, domain = ""): OnnxValue {
    return this.nodes(type, inputs, 1, attributes, domain)[0]!;
  }

  add(a: OnnxValue, b: OnnxValue): OnnxValue {
    return this.node("Add", [a, b]);
  }

  sub(a: OnnxValue, b: OnnxValue): OnnxValue {
    return this.node("Sub", [a, b]);
  }

  mul(a: OnnxValue, b: OnnxValue): OnnxValue {
    return this.node("Mul", [a, b]);
  }

  reshape(x: OnnxValue, ...shape: number[]): OnnxValue {
    return this.node("Reshape", [x, this.integers(...shape)]);
  }

  transpose(x: OnnxValue, ...perm: number[]): OnnxValue {
    return this.node("Transpose", [x], { perm });
  }

  /** Elements `from` to `to` along an axis. */
  slice(x: OnnxValue, axis: number, from: number, to: number): OnnxValue {
    return this.node("Slice", [x, this.integers(from), this.integers(to), this.integers(axis)]);
  }

  /** A matrix product of rank 2, a · b, either transposed, plus `c` broadcast to the result. */
  gemm(
    a: OnnxValue,
    b: OnnxValue,
    options: { transA?: boolean; transB?: boolean; c?: OnnxValue; alpha?: number; beta?: number } = {},
  ): OnnxValue {
    const { transA = false, transB = false, c, alpha = 1, beta = 1 } = options;
    return this.node("Gemm", c === undefined ? [a, b] : [a, b, c], {
      transA: Number(transA), transB: Number(transB), alpha: { float: alpha }, beta: { float: beta },
    });
  }

  /** A matrix product over the last two axes, either transposed, scaled by `alpha`; leading axes are equal. */
  matmul(a: OnnxValue, b: OnnxValue, options: { transA?: boolean; transB?: boolean; alpha?: number } = {}): OnnxValue {
    const { transA = false, transB = false, alpha = 1 } = options;
    if (!transA && !transB && alpha === 1) return this.node("MatMul", [a, b]);
    const attributes = { transA: Number(transA), transB: Number(transB), alpha: { float: alpha } };
    return this.node("FusedMatMul", [a, b], attributes, "com.microsoft");
  }

  /** @param metadata free text by name. */
  model(metadata: Readonly<Record<string, string>> = {}): OnnxModel {
    const renamed = new Map(this.#outputs.map(({ value, info }) => [value.id, info.name]));
    const nameOf = (id: string): string => renamed.get(id) ?? id;
    return {
      inputs: this.#inputs,
      outputs: this.#outputs.map(({ info }) => info),
      constants: [...this.#constants.values()],
      weights: this.#weights,
      nodes: this.#nodes.map((node) => ({ ...node, inputs: node.inputs.map(nameOf), outputs: node.outputs.map(nameOf) })),
      metadata,
    };
  }
}
