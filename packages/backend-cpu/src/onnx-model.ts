import protobuf from "protobufjs";

/**
 * The part of the ONNX format (onnx.proto3, https://onnx.ai, Apache-2.0) that the programs need. Field numbers are
 * those of the format; fields that are never written are left out.
 */
const SCHEMA = `
syntax = "proto3";
message AttributeProto {
  string name = 1;
  float f = 2;
  int64 i = 3;
  bytes s = 4;
  repeated float floats = 7;
  repeated int64 ints = 8;
  int32 type = 20;
}
message NodeProto {
  repeated string input = 1;
  repeated string output = 2;
  string op_type = 4;
  repeated AttributeProto attribute = 5;
  string domain = 7;
}
message TensorProto {
  repeated int64 dims = 1;
  int32 data_type = 2;
  string name = 8;
  bytes raw_data = 9;
}
message Dimension {
  oneof value {
    int64 dim_value = 1;
    string dim_param = 2;
  }
}
message TensorShapeProto { repeated Dimension dim = 1; }
message TypeProtoTensor {
  int32 elem_type = 1;
  TensorShapeProto shape = 2;
}
message TypeProto { TypeProtoTensor tensor_type = 1; }
message ValueInfoProto {
  string name = 1;
  TypeProto type = 2;
}
message GraphProto {
  repeated NodeProto node = 1;
  string name = 2;
  repeated TensorProto initializer = 5;
  repeated ValueInfoProto input = 11;
  repeated ValueInfoProto output = 12;
}
message OperatorSetIdProto {
  string domain = 1;
  int64 version = 2;
}
message ModelProto {
  int64 ir_version = 1;
  string producer_name = 2;
  GraphProto graph = 7;
  repeated OperatorSetIdProto opset_import = 8;
}
`;

const MODEL = protobuf.parse(SCHEMA, { keepCase: true }).root.lookupType("ModelProto");

const IR_VERSION = 8;
/** The last opset in which LayerNormalization returns its statistics and the reductions used here are unchanged. */
const OPSET = 17;

const ELEMENT = { float32: 1, int64: 7, float16: 10 } as const;
const ATTRIBUTE = { float: 1, int: 2, string: 3, ints: 7 } as const;

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

export interface OnnxValue {
  readonly name: string;
  readonly element: OnnxElement;
  readonly shape: OnnxShape;
}

export interface OnnxConstant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | BigInt64Array;
}

export interface OnnxGraph {
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly constants: readonly OnnxConstant[];
  readonly nodes: readonly OnnxNode[];
}

function attribute(name: string, value: OnnxAttribute): object {
  if (typeof value === "number") return { name, type: ATTRIBUTE.int, i: value };
  if (typeof value === "string") return { name, type: ATTRIBUTE.string, s: new TextEncoder().encode(value) };
  if ("float" in value) return { name, type: ATTRIBUTE.float, f: value.float };
  return { name, type: ATTRIBUTE.ints, ints: [...value] };
}

function valueInfo({ name, element, shape }: OnnxValue): object {
  const dim = shape.map((extent) => (typeof extent === "number" ? { dim_value: extent } : { dim_param: extent }));
  return { name, type: { tensor_type: { elem_type: ELEMENT[element], shape: { dim } } } };
}

/** The bytes of an ONNX model (ModelProto) of one graph. */
export function encodeModel({ inputs, outputs, constants, nodes }: OnnxGraph): Uint8Array {
  return MODEL.encode(MODEL.create({
    ir_version: IR_VERSION,
    producer_name: "atlas-tv",
    opset_import: [{ domain: "", version: OPSET }, { domain: "com.microsoft", version: 1 }],
    graph: {
      name: "program",
      input: inputs.map(valueInfo),
      output: outputs.map(valueInfo),
      initializer: constants.map(({ name, shape, data }) => ({
        name,
        dims: [...shape],
        data_type: data instanceof Float32Array ? ELEMENT.float32 : ELEMENT.int64,
        raw_data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      })),
      node: nodes.map(({ type, domain, inputs: from, outputs: to, attributes }) => ({
        op_type: type,
        domain,
        input: [...from],
        output: [...to],
        attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
      })),
    },
  })).finish();
}
