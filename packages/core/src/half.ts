import { f16round, Float16Array } from "@petamoriken/float16";

const F16_TABLE = /* @__PURE__ */ widenEveryHalf();

/** All 65,536 half floats as float32: a table look-up is several times faster than widening bit by bit. */
function widenEveryHalf(): Float32Array {
  const bits = Uint16Array.from({ length: 65536 }, (_, index) => index);
  return Float32Array.from(new Float16Array(bits.buffer) as unknown as ArrayLike<number>);
}

/** Widens IEEE half floats, given as their bits, to float32. Exact. */
export function float16ToFloat32(bits: Uint16Array, out = new Float32Array(bits.length)): Float32Array {
  for (let i = 0; i < bits.length; i++) out[i] = F16_TABLE[bits[i]!]!;
  return out;
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/** The bits of the half float nearest to a float32, ties to even. */
function halfBits(value: number): number {
  scratch[0] = value;
  const x = scratchBits[0]!;
  const sign = (x >>> 16) & 0x8000;
  const magnitude = x & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    scratch[0] = f16round(value);
    return sign | Math.round(Math.abs(scratch[0]) * 16777216);
  }
  const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000;
  return sign | (rounded >>> 13);
}

/** Rounds float32 to half floats (to nearest, ties to even) and returns their bits. */
export function float32ToFloat16(values: Float32Array, out = new Uint16Array(values.length)): Uint16Array {
  for (let i = 0; i < values.length; i++) out[i] = halfBits(values[i]!);
  return out;
}

/** Widens bfloat16, given as its bits, to float32. Exact. */
export function bfloat16ToFloat32(bits: Uint16Array, out = new Float32Array(bits.length)): Float32Array {
  const outBits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  for (let i = 0; i < bits.length; i++) outBits[i] = bits[i]! << 16;
  return out;
}
