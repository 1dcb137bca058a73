import { describe, expect, it } from "vitest";
import { readFloat32, readHostTensor, readIntegers, type ElementType, type StoredTensor } from "../src/index.js";

/** A tensor whose bytes lie off their alignment in a larger Buffer, as those of small files in Node do. */
function within(dtype: ElementType, shape: readonly number[], values: ArrayBufferView): StoredTensor {
  const own = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const around = Buffer.alloc(own.length + 2);
  around.set(own, 1);
  return { dtype, shape, bytes: () => Promise.resolve(around.subarray(1, 1 + own.length)) };
}

describe("reading a stored tensor", () => {
  it("takes bytes wherever they lie", async () => {
    expect(await readFloat32(within("F32", [2], Float32Array.of(1.5, -2)))).toEqual(Float32Array.of(1.5, -2));
    expect(await readFloat32(within("F64", [1], Float64Array.of(0.1)))).toEqual(Float32Array.of(0.1));
    expect(await readFloat32(within("F16", [2], Uint16Array.of(0x3c00, 0xc000)))).toEqual(Float32Array.of(1, -2));
    expect(await readFloat32(within("BF16", [2], Uint16Array.of(0x3f80, 0xc000)))).toEqual(Float32Array.of(1, -2));
    expect(await readIntegers(within("I64", [2], BigInt64Array.of(7n, -7n)))).toEqual(Float64Array.of(7, -7));
    expect((await readHostTensor(within("F16", [1], Uint16Array.of(0x3c00)))).data).toEqual(Uint16Array.of(0x3c00));
  });
});
