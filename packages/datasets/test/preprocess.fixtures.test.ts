import { describe, expect, it } from "vitest";
import {
  centreCrop, imageInputs, Random, resizeShorterSide, toRgb, validationTransform, type Normalisation, type PixelImage,
} from "@atlas-tv/core";
import { readImage } from "../src/node.js";
import { fixtureJson, fixturePath, fixtureTensors, tolerance, type FixtureTensor } from "./fixture-files.js";

type Pair = [number, number];

interface ExpectedFile {
  readonly mode: string;
  readonly size_wh: Pair;
  readonly resized_wh: Pair;
  readonly crop_left_top: Pair;
  readonly mean_of_tensor: number;
}

interface Expected {
  readonly image_size: number;
  readonly mean: [number, number, number];
  readonly std: [number, number, number];
  readonly files: Record<string, ExpectedFile>;
}

const expected = fixtureJson<Expected>("preprocess", "expected.json");
const tensors = fixtureTensors("preprocess", "preprocess.safetensors");
const size = expected.image_size;
const normalisation: Normalisation = { mean: expected.mean, std: expected.std };
const transform = validationTransform(size, normalisation);
const levels = tolerance("preprocess.rgb_u8_levels");
const absolute = tolerance("preprocess.tensor_absolute");
const CHANNELS: Record<string, number> = { L: 1, P: 1, LA: 2, RGB: 3, RGBA: 4 };

/** What libjpeg versions may differ by, on average (TOLERANCES.md, "preprocess from JPEG bytes"). */
const JPEG_MEAN_LEVELS = 2;

function decoded(tensor: FixtureTensor): PixelImage {
  const [height = 0, width = 0, channels = 1] = tensor.shape;
  return { width, height, channels: channels as 1 | 3, data: tensor.bytes };
}

function differences(a: Uint8Array, b: Uint8Array): number[] {
  expect(a.length).toBe(b.length);
  return Array.from(a, (value, i) => Math.abs(value - b[i]!));
}

const names = Object.keys(expected.files);
/** Decoded pixels are given where decoders may differ. */
const isJpeg = (name: string): boolean => tensors.has(`${name}.decoded_u8`);

describe.each(names)("%s", (name) => {
  const facts = expected.files[name]!;
  const rgb = tensors.get(`${name}.rgb_u8`)!.bytes;
  const given = tensors.get(`${name}.decoded_u8`);
  const exactPixels = async (): Promise<PixelImage> => (given === undefined ? readImage(fixturePath("preprocess", name)) : decoded(given));

  it("decodes in its own mode and size", async () => {
    const image = await readImage(fixturePath("preprocess", name));
    expect([image.width, image.height]).toEqual(facts.size_wh);
    expect(image.channels).toBe(CHANNELS[facts.mode]);
    expect(image.palette !== undefined).toBe(facts.mode === "P");
  });

  it("is resized to Pillow's size", async () => {
    const resized = resizeShorterSide(await exactPixels(), size);
    expect([resized.width, resized.height]).toEqual(facts.resized_wh);
  });

  it("is cropped at torchvision's offset", async () => {
    const [width, height] = facts.resized_wh;
    // Pixels that hold their own position tell where the crop began.
    const columns = Uint16Array.from({ length: width * height }, (_, i) => i % width);
    const rows = Uint16Array.from({ length: width * height }, (_, i) => Math.floor(i / width));
    const [left, top] = [columns, rows].map((positions) => {
      const image: PixelImage = { width, height, channels: 2, data: new Uint8Array(positions.buffer) };
      return new Uint16Array(centreCrop(image, size).data.slice().buffer)[0];
    });
    expect([left, top]).toEqual(facts.crop_left_top);
  });

  it("has Pillow's pixels after the validation transform", async () => {
    const pixels = toRgb(transform.pixels(await exactPixels(), new Random(0)));
    expect(Math.max(...differences(pixels.data, rgb))).toBeLessThanOrEqual(levels);
  });

  it("has the reference's normalised values", async () => {
    const { data, shape } = imageInputs([transform.pixels(await exactPixels(), new Random(0))], normalisation);
    expect(shape).toEqual([1, size, size, 3]);
    const mean = data.reduce((sum, value) => sum + value, 0) / data.length;
    expect(Math.abs(mean - facts.mean_of_tensor)).toBeLessThanOrEqual(absolute);
    const tensor = tensors.get(`${name}.tensor`);
    if (tensor === undefined) return;
    const chw = new Float32Array(tensor.bytes.buffer, tensor.bytes.byteOffset, tensor.bytes.length / 4);
    let worst = 0;
    for (let channel = 0; channel < 3; channel++) {
      for (let i = 0; i < size * size; i++) worst = Math.max(worst, Math.abs(data[i * 3 + channel]! - chw[channel * size * size + i]!));
    }
    expect(worst).toBeLessThanOrEqual(absolute);
  });
});

describe.each(names.filter(isJpeg))("%s read from its bytes", (name) => {
  it("differs from libjpeg-turbo's pixels by what decoders may", async () => {
    const pixels = toRgb(transform.pixels(await readImage(fixturePath("preprocess", name)), new Random(0)));
    const off = differences(pixels.data, tensors.get(`${name}.rgb_u8`)!.bytes);
    expect(off.reduce((sum, value) => sum + value, 0) / off.length).toBeLessThanOrEqual(JPEG_MEAN_LEVELS);
  });
});
