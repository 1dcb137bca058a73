import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readCheckpoint, writeSafetensorsFile } from "@atlas-tv/checkpoints";
import { float32ToFloat16, HALF_NORMALISATION, imageInputs, Random, readFloat32, validationTransform, type HostTensor } from "@atlas-tv/core";
import { readImage } from "@atlas-tv/datasets";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { fixturePath, relativeError } from "../../core/test/fixture-files.js";
import { atlas, temporaryFolder, type Ended } from "./command-line.js";
import { expectRefusal } from "./refusals.js";
import { SPEC, writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
const encode = (images: string, out: string, ...flags: string[]): Promise<Ended> => atlas("encode", "--model", at("tiny"), "--images", images, "--out", out, ...flags);

/** Pictures in several modes, one of them in a folder of its own. */
const PICTURES = ["gray.png", "palette.png", "photo.jpg", "rgba.png"];

beforeAll(async () => {
  await writeTinyModel(at("tiny"));
  mkdirSync(at("pictures", "more"), { recursive: true });
  for (const name of PICTURES) copyFileSync(fixturePath(`preprocess/${name}`), at("pictures", name));
  copyFileSync(fixturePath("preprocess/la.png"), at("pictures", "more", "la.png"));
});
afterAll(folder.remove);

function featuresOf(path: string): Promise<{ features: Float32Array; shape: readonly number[]; metadata: Readonly<Record<string, string>> }> {
  return readCheckpoint(path, async ({ tensors, metadata }) => {
    const tensor = tensors.get("features")!;
    return { features: await readFloat32(tensor), shape: tensor.shape, metadata };
  });
}

/** The pictures as the tensor that a program of another language would make of them. */
async function planar(paths: readonly string[]): Promise<HostTensor> {
  const side = SPEC.imageSize;
  const transform = validationTransform(side, HALF_NORMALISATION);
  const pixels = await Promise.all(paths.map(async (path) => transform.pixels(await readImage(path), new Random(0))));
  const { data } = imageInputs(pixels, HALF_NORMALISATION);
  const out = new Float32Array(data.length);
  for (let index = 0; index < data.length; index++) {
    const image = Math.floor(index / (3 * side * side));
    out[(image * 3 + (index % 3)) * side * side + (Math.floor(index / 3) % (side * side))] = data[index]!;
  }
  return { dtype: "F32", shape: [paths.length, 3, side, side], data: out };
}

describe("atlas encode", () => {
  test("of a folder gives the features of its pictures, preprocessed as the validation transform does", async () => {
    const { status, err } = await encode(at("pictures"), at("folder.safetensors"), "--batch-size", "2");
    expect(status, err).toBe(0);
    expect(err).toContain("images: 5 of 5");
    const found = await featuresOf(at("folder.safetensors"));
    const files = ["gray.png", join("more", "la.png"), "palette.png", "photo.jpg", "rgba.png"];
    expect(JSON.parse(found.metadata["files"]!)).toEqual(files);

    const images = await planar(files.map((file) => at("pictures", file)));
    await writeSafetensorsFile(at("images.safetensors"), new Map([["images", images]]));
    expect(await encode(at("images.safetensors"), at("tensor.safetensors"), "--quiet")).toMatchObject({ status: 0, err: "" });
    const tensor = await featuresOf(at("tensor.safetensors"));
    expect(tensor.shape).toEqual([files.length, SPEC.outputWidth]);
    expect(relativeError(found.features, tensor.features)).toBeLessThan(1e-5);
  });

  test("takes half floats", async () => {
    const { shape, data } = await planar([at("pictures", "gray.png")]);
    await writeSafetensorsFile(at("half.safetensors"), new Map([["images", { dtype: "F16", shape, data: float32ToFloat16(Float32Array.from(data)) }]]));
    const { status, out } = await encode(at("half.safetensors"), at("half-features.safetensors"), "--json");
    expect(status).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ images: 1, width: SPEC.outputWidth, path: at("half-features.safetensors") });
  });

  test("refuses images of another size, values that are no numbers, and a folder with something else in it", async () => {
    const write = (name: string, tensor: HostTensor): Promise<unknown> => writeSafetensorsFile(at(name), new Map([["images", tensor]]));
    const side = SPEC.imageSize;
    await write("large.safetensors", { dtype: "F32", shape: [1, 3, side + 1, side], data: new Float32Array(3 * (side + 1) * side) });
    expectRefusal(await encode(at("large.safetensors"), at("refused.safetensors")), `[B, 3, ${side}, ${side}]`);
    await write("nan.safetensors", { dtype: "F32", shape: [1, 3, side, side], data: new Float32Array(3 * side * side).fill(NaN, 7, 8) });
    expectRefusal(await encode(at("nan.safetensors"), at("refused.safetensors")), "NaN in image 0");
    mkdirSync(at("mixed"));
    expectRefusal(await encode(at("mixed"), at("refused.safetensors")), "no pictures");
    writeFileSync(at("mixed", "notes.txt"), "no picture");
    expectRefusal(await encode(at("mixed"), at("refused.safetensors")), "notes.txt");
  });
});
