/**
 * Models in the ONNX format (onnx.proto3, https://onnx.ai, Apache-2.0), as far as programs and encoders need it. Field
 * numbers are those of the format.
 */
import { sizeOf } from "./element-type.js";
import { delimitedHead, ProtobufMessage } from "./protobuf-message.js";

const FIELD = {
  attribute: { name: 1, f: 2, i: 3, s: 4, ints: 8, type: 20 },
  node: { input: 1, output: 2, opType: 4, attribute: 5, domain: 7 },
  tensor: { dims: 1, dataType: 2, name: 8, rawData: 9 },
  dimension: { value: 1, param: 2 },
  shape: { dim: 1 },
  tensorType: { elemType: 1, shape: 2 },
  type: { tensorType: 1, sequenceType: 4 },
  sequenceType: { elemType: 1 },
  valueInfo: { name: 1, type: 2 },
  graph: { node: 1, name: 2, initializer: 5, input: 11, output: 12 },
  operatorSet: { domain: 1, version: 2 },
  entry: { key: 1, value: 2 },
  model: { irVersion: 1, producerName: 2, graph: 7, opsetImport: 8, metadata: 14 },
} as const;

const IR_VERSION = 8;
/** The last opset in which LayerNormalization returns its statistics and the reductions used here are unchanged. */
const OPSET = 17;
const OPSET_OF_EXTENSIONS = 1;

const ELEMENT = { float32: 1, int64: 7, float16: 10 } as const;
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const;

const FLOAT_BYTES = 4;

export type OnnxElement = keyof typeof ELEMENT;

/** A number of an extent, or the name of one that is known at run time. */
export type OnnxShape = readonly (number | string)[];

/** An attribute: whole numbers, lists of them and strings as they are, floating-point numbers marked. */
export type OnnxAttribute = number | readonly number[] | string | { readonly float: number };

export interface OnnxNode {
  readonly type: string;
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** An input or output of a model. */
export interface OnnxPort {
  readonly name: string;
  readonly element: OnnxElement;
  readonly shape: OnnxShape;
  /** Whether it is a list of such tensors. */
  readonly sequence?: boolean;
}

export interface OnnxConstant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

/** A float32 tensor inside the model that is fetched when it is written. */
export interface OnnxWeight {
  readonly name: string;
  readonly shape: readonly number[];
  data(): Float32Array;
}

export interface OnnxModel {
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  readonly constants: readonly OnnxConstant[];
  readonly weights: readonly OnnxWeight[];
  readonly nodes: readonly OnnxNode[];
  /** Free text by name. */
  readonly metadata?: Readonly<Record<string, string>>;
}

function attribute(name: string, value: OnnxAttribute): ProtobufMessage {
  const { f, i, s, ints, type, name: nameField } = FIELD.attribute;
  const message = new ProtobufMessage().text(nameField, name);
  if (typeof value === "number") return message.int(i, value).int(type, ATTRIBUTE.int);
  if (typeof value === "string") return message.text(s, value).int(type, ATTRIBUTE.string);
  if ("float" in value) return message.float(f, value.float).int(type, ATTRIBUTE.float);
  return message.ints(ints, value).int(type, ATTRIBUTE.ints);
}

function nodeMessage({ type, domain, inputs, outputs, attributes }: OnnxNode): ProtobufMessage {
  const message = new ProtobufMessage();
  for (const name of inputs) message.text(FIELD.node.input, name);
  for (const name of outputs) message.text(FIELD.node.output, name);
  message.text(FIELD.node.opType, type);
  for (const [name, value] of Object.entries(attributes)) message.message(FIELD.node.attribute, attribute(name, value));
  return domain === "" ? message : message.text(FIELD.node.domain, domain);
}

function portMessage({ name, element, shape, sequence = false }: OnnxPort): ProtobufMessage {
  const extents = new ProtobufMessage();
  for (const extent of shape) {
    const dimension = new ProtobufMessage();
    extents.message(FIELD.shape.dim, typeof extent === "number" ? dimension.int(FIELD.dimension.value, extent) : dimension.text(FIELD.dimension.param, extent));
  }
  const tensor = new ProtobufMessage().int(FIELD.tensorType.elemType, ELEMENT[element]).message(FIELD.tensorType.shape, extents);
  const one = new ProtobufMessage().message(FIELD.type.tensorType, tensor);
  const list = (): ProtobufMessage => new ProtobufMessage().message(FIELD.type.sequenceType, new ProtobufMessage().message(FIELD.sequenceType.elemType, one));
  return new ProtobufMessage().text(FIELD.valueInfo.name, name).message(FIELD.valueInfo.type, sequence ? list() : one);
}

/** A tensor without its data, which goes last. */
function tensorHead(name: string, shape: readonly number[], element: OnnxElement): ProtobufMessage {
  const { dims, dataType, name: nameField } = FIELD.tensor;
  return new ProtobufMessage().ints(dims, shape).int(dataType, ELEMENT[element]).text(nameField, name);
}

function bytesOf(data: Float32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function constantMessage({ name, shape, data }: OnnxConstant): ProtobufMessage {
  return tensorHead(name, shape, data instanceof Float32Array ? "float32" : "int64").bytes(FIELD.tensor.rawData, bytesOf(data));
}

/** Everything of the graph but its weights. */
function graphMessage({ nodes, constants, inputs, outputs }: OnnxModel): ProtobufMessage {
  const message = new ProtobufMessage();
  for (const node of nodes) message.message(FIELD.graph.node, nodeMessage(node));
  message.text(FIELD.graph.name, "program");
  for (const constant of constants) message.message(FIELD.graph.initializer, constantMessage(constant));
  for (const port of inputs) message.message(FIELD.graph.input, portMessage(port));
  for (const port of outputs) message.message(FIELD.graph.output, portMessage(port));
  return message;
}

/** Everything of the model but its graph. */
function modelMessage({ nodes, metadata = {} }: OnnxModel): ProtobufMessage {
  const message = new ProtobufMessage().int(FIELD.model.irVersion, IR_VERSION).text(FIELD.model.producerName, "atlas-tv");
  for (const domain of new Set(["", ...nodes.map((node) => node.domain)])) {
    const operators = new ProtobufMessage().text(FIELD.operatorSet.domain, domain);
    message.message(FIELD.model.opsetImport, operators.int(FIELD.operatorSet.version, domain === "" ? OPSET : OPSET_OF_EXTENSIONS));
  }
  for (const [key, value] of Object.entries(metadata)) {
    message.message(FIELD.model.metadata, new ProtobufMessage().text(FIELD.entry.key, key).text(FIELD.entry.value, value));
  }
  return message;
}

/** What stands before the data of a weight. */
function weightHead({ name, shape }: OnnxWeight): { head: Uint8Array; bytes: number } {
  const bytes = sizeOf(shape) * FLOAT_BYTES;
  const data = delimitedHead(FIELD.tensor.rawData, bytes);
  const tensor = tensorHead(name, shape, "float32").encode();
  const outer = delimitedHead(FIELD.graph.initializer, tensor.byteLength + data.byteLength + bytes);
  return { head: Uint8Array.from([...outer, ...tensor, ...data]), bytes };
}

/** An ONNX model (ModelProto) as chunks, one weight at a time, so that no copy of the whole is ever held. */
export function* encodeOnnxModel(model: OnnxModel): Generator<Uint8Array> {
  const graph = graphMessage(model).encode();
  const heads = model.weights.map(weightHead);
  const length = heads.reduce((sum, { head, bytes }) => sum + head.byteLength + bytes, graph.byteLength);
  yield modelMessage(model).encode();
  yield delimitedHead(FIELD.model.graph, length);
  yield graph;
  for (const [index, weight] of model.weights.entries()) {
    yield heads[index]!.head;
    yield bytesOf(weight.data());
  }
}

/** Bytes that `encodeOnnxModel` gives. */
export function onnxModelBytes(model: OnnxModel): number {
  const weights = model.weights.reduce((sum, weight) => sum + weightHead(weight).head.byteLength + sizeOf(weight.shape) * FLOAT_BYTES, 0);
  const graph = graphMessage(model).encode().byteLength + weights;
  return modelMessage(model).encode().byteLength + delimitedHead(FIELD.model.graph, graph).byteLength + graph;
}
