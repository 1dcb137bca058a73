import { sizeOf } from "@atlas-tv/core";
import {
  encodeModel, type OnnxAttribute, type OnnxConstant, type OnnxElement, type OnnxNode, type OnnxShape, type OnnxValue,
} from "./onnx-model.js";

/** A tensor inside a graph under construction. */
export interface Value {
  readonly id: string;
}

/** Position of an optional input that is left out. */
const ABSENT: Value = { id: "" };

type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** Builds an ONNX graph operation by operation. Names of inputs and outputs are chosen, all others are generated. */
export class Graph {
  readonly #inputs: OnnxValue[] = [];
  readonly #outputs: { value: Value; info: OnnxValue }[] = [];
  readonly #constants = new Map<string, OnnxConstant>();
  readonly #nodes: OnnxNode[] = [];
  #next = 0;

  #fresh(): Value {
    return { id: `_${this.#next++}` };
  }

  input(name: string, shape: OnnxShape, element: OnnxElement = "float32"): Value {
    this.#inputs.push({ name, element, shape });
    return { id: name };
  }

  /** Makes a value an output. A value has one output name. */
  output(name: string, value: Value, shape: OnnxShape): void {
    this.#outputs.push({ value, info: { name, element: "float32", shape } });
  }

  /** A constant that equal constants share. */
  #constant(key: string, shape: readonly number[], data: () => Float32Array | BigInt64Array): Value {
    const known = this.#constants.get(key);
    if (known !== undefined) return { id: known.name };
    const name = `_c${this.#constants.size}`;
    this.#constants.set(key, { name, shape, data: data() });
    return { id: name };
  }

  scalar(value: number): Value {
    return this.filled(value, []);
  }

  /** A list of whole numbers, as operators take for axes and shapes. */
  integers(...values: number[]): Value {
    return this.#constant(`integers ${values.join()}`, [values.length], () => BigInt64Array.from(values, BigInt));
  }

  /** A constant of one value repeated. */
  filled(value: number, shape: readonly number[]): Value {
    return this.#constant(`filled ${value} ${shape.join()}`, shape, () => new Float32Array(sizeOf(shape)).fill(value));
  }

  /** The identity matrix of a size, seen as `shape`. */
  identity(size: number, shape: readonly number[]): Value {
    return this.#constant(`identity ${shape.join()}`, shape, () => {
      return Float32Array.from({ length: size * size }, (_, i) => Number(i % (size + 1) === 0));
    });
  }

  /** `(size, size)`: `value` above the diagonal, 0 elsewhere. */
  upperTriangle(value: number, size: number): Value {
    return this.#constant(`upper ${value} ${size}`, [size, size], () => {
      const data = new Float32Array(size * size);
      for (let row = 0; row < size; row++) data.fill(value, row * size + row + 1, (row + 1) * size);
      return data;
    });
  }

  /** An operator with any number of outputs; `domain` defaults to ONNX's own. */
  nodes(type: string, inputs: readonly (Value | null)[], outputs: number, attributes: Attributes = {}, domain = ""): Value[] {
    const made = Array.from({ length: outputs }, () => this.#fresh());
    const from = inputs.map((value) => (value ?? ABSENT).id);
    this.#nodes.push({ type, domain, attributes, inputs: from, outputs: made.map(({ id }) => id) });
    return made;
  }

  /** An operator with one output. */
  node(type: string, inputs: readonly (Value | null)[], attributes: Attributes = {}, domain = ""): Value {
    return this.nodes(type, inputs, 1, attributes, domain)[0]!;
  }

  add(a: Value, b: Value): Value {
    return this.node("Add", [a, b]);
  }

  sub(a: Value, b: Value): Value {
    return this.node("Sub", [a, b]);
  }

  mul(a: Value, b: Value): Value {
    return this.node("Mul", [a, b]);
  }

  reshape(x: Value, ...shape: number[]): Value {
    return this.node("Reshape", [x, this.integers(...shape)]);
  }

  transpose(x: Value, ...perm: number[]): Value {
    return this.node("Transpose", [x], { perm });
  }

  /** Elements `from` to `to` along an axis. */
  slice(x: Value, axis: number, from: number, to: number): Value {
    return this.node("Slice", [x, this.integers(from), this.integers(to), this.integers(axis)]);
  }

  /** A matrix product of rank 2, a · b, either transposed, plus `c` broadcast to the result. */
  gemm(
    a: Value,
    b: Value,
    options: { transA?: boolean; transB?: boolean; c?: Value; alpha?: number; beta?: number } = {},
  ): Value {
    const { transA = false, transB = false, c, alpha = 1, beta = 1 } = options;
    return this.node("Gemm", c === undefined ? [a, b] : [a, b, c], {
      transA: Number(transA), transB: Number(transB), alpha: { float: alpha }, beta: { float: beta },
    });
  }

  /** A matrix product over the last two axes, either transposed, scaled by `alpha`; leading axes are equal. */
  matmul(a: Value, b: Value, options: { transA?: boolean; transB?: boolean; alpha?: number } = {}): Value {
    const { transA = false, transB = false, alpha = 1 } = options;
    if (!transA && !transB && alpha === 1) return this.node("MatMul", [a, b]);
    const attributes = { transA: Number(transA), transB: Number(transB), alpha: { float: alpha } };
    return this.node("FusedMatMul", [a, b], attributes, "com.microsoft");
  }

  /** The model's bytes. */
  encode(): Uint8Array {
    const renamed = new Map(this.#outputs.map(({ value, info }) => [value.id, info.name]));
    const nameOf = (id: string): string => renamed.get(id) ?? id;
    return encodeModel({
      inputs: this.#inputs,
      outputs: this.#outputs.map(({ info }) => info),
      constants: [...this.#constants.values()],
      nodes: this.#nodes.map((node) => ({ ...node, inputs: node.inputs.map(nameOf), outputs: node.outputs.map(nameOf) })),
    });
  }
}
