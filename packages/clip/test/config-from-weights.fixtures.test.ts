import { canonicalTensors, readCheckpoint } from "@atlas-tv/checkpoints";
import { buffersOf, InputError, type StateDict, type StoredTensor } from "@atlas-tv/core";
import { describe, expect, it } from "vitest";
import { fixtureJson, fixturePath, fixtureTensors } from "../../core/test/fixture-files.js";
import { configFromWeights, knownModel, knownModelNames, parseClipConfig, textSpec, visionSpec, type ClipConfig } from "../src/index.js";

/** Tensors of both towers of a model, by name and shape. */
function shapesOf(config: ClipConfig): StateDict {
  const vision = visionSpec(config);
  const parts = [...vision.blocks, ...buffersOf(vision), ...textSpec(config).blocks];
  return new Map(parts.map(({ name, shape }): [string, StoredTensor] => [name, { dtype: "F32", shape, bytes: () => Promise.reject(new Error("not read")) }]));
}

const unknownHeads = { visual: null, text: null };

describe("configFromWeights", () => {
  it.each(knownModelNames())("tells %s from its shapes, where heads are 64 wide", (name) => {
    const config = knownModel(name);
    expect(configFromWeights(shapesOf(config), { heads: unknownHeads, quickGelu: true }, name)).toEqual(config);
  });

  it("tells the image encoder of a saved module from its shapes and what the module says", async () => {
    const expected = parseClipConfig(fixtureJson("checkpoints/open_clip_config.json"));
    await readCheckpoint(fixturePath("checkpoints/zeroshot.pt"), ({ tensors, module, path }) => {
      const { heads, quickGelu } = module!;
      const config = configFromWeights(canonicalTensors(tensors, path), { heads, quickGelu: quickGelu! }, path);
      expect(visionSpec(config, { includeLeftovers: true })).toEqual(visionSpec(expected, { includeLeftovers: true }));
      return Promise.resolve();
    });
  });

  it("tells a ResNet from its shapes and its heads", () => {
    const { config: sizes } = fixtureJson<{ config: { layers: number[]; width: number; output_dim: number; heads: number; image_size: number } }>("resnet/expected.json");
    const config = configFromWeights(fixtureTensors("resnet/zeroshot.safetensors"), { heads: { visual: sizes.heads, text: null }, quickGelu: false }, "resnet");
    expect(visionSpec(config)).toMatchObject({ family: "resnet", layers: sizes.layers, width: sizes.width, heads: sizes.heads, imageSize: sizes.image_size, outputWidth: sizes.output_dim });
    expect(config.text_cfg).toBeUndefined();
  });

  it("refuses what is no CLIP", () => {
    const head = new Map([["weight", { dtype: "F32" as const, shape: [3, 4], bytes: () => Promise.resolve(new Uint8Array(48)) }]]);
    expect(() => configFromWeights(head, { heads: unknownHeads, quickGelu: true }, "head.pt")).toThrow(InputError);
  });
});
