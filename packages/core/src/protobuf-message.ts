/** How a field's value is stored (protobuf's encoding specification, "message structure"). */
const WIRE = { varint: 0, lengthDelimited: 2, fixed32: 5 } as const;

const text = new TextEncoder();

/** A varint: seven bits a byte, the lowest first; negative numbers as 64-bit two's complement. */
function varint(value: number): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return bytes;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.byteLength;
  }
  return out;
}

/** What stands before `bytes` bytes of a length-delimited field. */
export function delimitedHead(field: number, bytes: number): Uint8Array {
  return Uint8Array.from([...varint((field << 3) | WIRE.lengthDelimited), ...varint(bytes)]);
}

/** A message of protocol buffers under construction: fields by number, in the order they are added. */
export class ProtobufMessage {
  readonly #parts: Uint8Array[] = [];

  /** A whole number of type int32 or int64. */
  int(field: number, value: number): this {
    this.#parts.push(Uint8Array.from([...varint((field << 3) | WIRE.varint), ...varint(value)]));
    return this;
  }

  /** A repeated whole number, packed. */
  ints(field: number, values: readonly number[]): this {
    return this.bytes(field, Uint8Array.from(values.flatMap(varint)));
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    this.#parts.push(Uint8Array.from(varint((field << 3) | WIRE.fixed32)), bytes);
    return this;
  }

  bytes(field: number, value: Uint8Array): this {
    this.#parts.push(delimitedHead(field, value.byteLength), value);
    return this;
  }

  text(field: number, value: string): this {
    return this.bytes(field, text.encode(value));
  }

  message(field: number, value: ProtobufMessage): this {
    return this.bytes(field, value.encode());
  }

  encode(): Uint8Array {
    return joined(this.#parts);
  }
}
