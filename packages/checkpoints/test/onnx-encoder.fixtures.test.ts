import { InferenceSession, Tensor } from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { knownModel, visionSpec } from "@atlas-tv/clip";
import { encode, InputError, isotropic, PlainBackend, type ImageEncoderSpec, type NamedHostTensors } from "@atlas-tv/core";
import { smallInputs, smallModel, SMALL_SPECS } from "../../backend-cpu/test/small-models.js";
import {
  closeTo, fixtureCheckpoint, fixtureJson, fixtureTensors, floats, hostTensors, tensorOf, tolerance,
} from "../../core/test/fixture-files.js";
import "../../core/test/plain-backends.js";
import { resNetSpec } from "../../core/test/resnet-suite.js";
import { encodeOnnxEncoder, ONNX_INPUT, ONNX_OUTPUT } from "../src/index.js";

/** How far features in onnxruntime may be from those of a backend. */
const ONNX_TOLERANCE = 1e-4;

function bytesOf(spec: ImageEncoderSpec, tensors: NamedHostTensors, metadata?: Record<string, string>): Uint8Array {
  return Buffer.concat([...encodeOnnxEncoder(spec, tensors, metadata)]);
}

/** Features of images `(batch, 3, S, S)` from the file. */
async function run(file: Uint8Array, images: Float32Array, shape: readonly number[]): Promise<Float32Array> {
  const session = await InferenceSession.create(file);
  expect([session.inputNames, session.outputNames]).toEqual([[ONNX_INPUT], [ONNX_OUTPUT]]);
  const outputs = await session.run({ [ONNX_INPUT]: new Tensor("float32", images, shape) });
  await session.release();
  return outputs[ONNX_OUTPUT]!.data as Float32Array;
}

describe("an image encoder as an ONNX file, in onnxruntime", () => {
  it.each(["zeroshot", "finetuned_0"])("gives the golden features of the vision transformer %s", async (model) => {
    const spec = visionSpec(fixtureJson("checkpoints/open_clip_config.json"));
    const inputs = fixtureTensors("inputs/inputs.safetensors");
    const features = await run(bytesOf(spec, await fixtureCheckpoint(model)), await floats(inputs, "images"), tensorOf(inputs, "images").shape);
    closeTo(features, await floats(fixtureTensors("encoder/encoder.safetensors"), `features.${model}`), tolerance("encoder.features"), "features");
  });

  it.each(["zeroshot", "finetuned_0"])("gives the golden features of the ResNet %s", async (model) => {
    const golden = fixtureTensors("resnet/resnet.safetensors");
    const file = bytesOf(resNetSpec, await hostTensors(fixtureTensors(`resnet/${model}.safetensors`)));
    const features = await run(file, await floats(golden, "images"), tensorOf(golden, "images").shape);
    closeTo(features, await floats(golden, `features_${model}`), tolerance("resnet.features"), "features");
  });

  it.each(["vit with gelu", "vit with quick_gelu"])("gives what the encoder gives: %s", async (name) => {
    const { spec, base } = smallModel(SMALL_SPECS[name]!, 0) as { spec: ImageEncoderSpec; base: NamedHostTensors };
    const { data, shape: [batch = 0, side = 0] } = smallInputs(spec, 3);
    const planar = new Float32Array(data.length);
    data.forEach((value, at) => {
      const pixel = Math.floor(at / 3) % (side * side);
      planar[(Math.floor(at / (3 * side * side)) * 3 + (at % 3)) * side * side + pixel] = value;
    });
    const backend = new PlainBackend("cpu");
    await backend.activate();
    const encoder = await backend.compile(spec, base, [], isotropic());
    const composed = await encoder.compose(encoder.initialCoefficients());
    const features = await encode(composed, { data: Float32Array.from(data), shape: [batch, side, side, 3] });
    closeTo(await run(bytesOf(spec, base), planar, [batch, 3, side, side]), await features.data(), ONNX_TOLERANCE, "features");
    features.dispose();
    composed.dispose();
    encoder.dispose();
  });

  it("has standard operators alone, and the same bytes for the same model", async () => {
    const base = await fixtureCheckpoint("zeroshot");
    const spec = visionSpec(fixtureJson("checkpoints/open_clip_config.json"));
    const file = bytesOf(spec, base, { base: "zeroshot 1234" });
    expect(Buffer.from(file).includes("com.microsoft")).toBe(false);
    expect(Buffer.from(file).includes("zeroshot 1234")).toBe(true);
    expect(bytesOf(spec, base, { base: "zeroshot 1234" })).toEqual(file);
  });

  it("is refused with a block missing, and where protocol buffers end", async () => {
    const base = new Map(await fixtureCheckpoint("zeroshot"));
    base.delete("visual.proj");
    expect(() => encodeOnnxEncoder(visionSpec(fixtureJson("checkpoints/open_clip_config.json")), base)).toThrow(/visual\.proj/);
    const large = visionSpec({ ...knownModel("ViT-L-14"), vision_cfg: { image_size: 224, patch_size: 14, width: 2048, layers: 24 } });
    // Never read: the size is known from the specification.
    const shapes: NamedHostTensors = new Map(large.blocks.map(({ name, shape }) => [name, { dtype: "F32", shape, data: new Float32Array() }]));
    expect(() => encodeOnnxEncoder(large, shapes)).toThrow(InputError);
    expect(() => encodeOnnxEncoder(large, shapes)).toThrow(/ONNX file/);
  });
});
