import { encode } from "fast-png";
import { describe, expect, it } from "vitest";
import { InputError } from "@atlas-tv/core";
import { decodePng } from "../src/index.js";

const gray = encode({ width: 3, height: 2, channels: 1, depth: 8, data: Uint8Array.of(1, 2, 3, 4, 5, 6) });

describe("decodePng", () => {
  it.each([1, 2, 3, 4] as const)("keeps %s channels as they are", (channels) => {
    const data = Uint8Array.from({ length: 6 * channels }, (_, i) => i * 9);
    expect(decodePng(encode({ width: 3, height: 2, channels, depth: 8, data }))).toEqual({ width: 3, height: 2, channels, data });
  });

  it("takes the high byte of 16-bit samples", () => {
    const data = Uint16Array.of(0x01ff, 0xff00, 0x8000, 0x7fff);
    expect([...decodePng(encode({ width: 4, height: 1, channels: 1, depth: 16, data })).data]).toEqual([1, 255, 128, 127]);
  });

  it("unpacks rows of 1, 2 and 4 bits", () => {
    const two = decodePng(encode({ width: 3, height: 2, channels: 1, depth: 2, data: Uint8Array.of(0b00011000, 0b11100100) }));
    expect([...two.data]).toEqual([0, 85, 170, 255, 170, 85]);
    const four = decodePng(encode({ width: 3, height: 1, channels: 1, depth: 4, data: Uint8Array.of(0x0f, 0x10) }));
    expect([...four.data]).toEqual([0, 255, 17]);
    const one = decodePng(encode({ width: 3, height: 1, channels: 1, depth: 1, data: Uint8Array.of(0b01000000) }));
    expect([...one.data]).toEqual([0, 1, 0]);
    expect([...one.palette!]).toEqual([0, 0, 0, 255, 255, 255]);
  });

  it.each([0, 12, 30, gray.length - 20, gray.length - 1])("refuses a file cut after %s bytes", (length) => {
    expect(() => decodePng(gray.subarray(0, length), "cut.png")).toThrow(InputError);
    expect(() => decodePng(gray.subarray(0, length), "cut.png")).toThrow(/cut\.png[\s\S]*damaged PNG \([^)]*[^):\s]\)/);
  });

  it("refuses a file with a changed byte", () => {
    for (let at = 8; at < gray.length; at++) {
      const changed = gray.slice();
      changed[at]! ^= 0x55;
      expect(() => decodePng(changed), `byte ${at}`).toThrow(InputError);
    }
  });

  it("refuses a header that asks for too many pixels before it takes memory for them", () => {
    const huge = gray.slice();
    new DataView(huge.buffer).setUint32(16, 0x7fffffff);
    expect(() => decodePng(huge)).toThrow(/pixels, more than/);
  });
});
