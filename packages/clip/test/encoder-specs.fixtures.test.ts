import { describe, expect, it } from "vitest";
import { buffersOf } from "@atlas-tv/core";
import { checkpointFacts, fixtureJson, fixtureTensors } from "../../core/test/fixture-files.js";
import { textSpec, visionSpec } from "../src/index.js";

const config = fixtureJson("checkpoints/open_clip_config.json");
const { names, shapes } = checkpointFacts();

describe("visionSpec", () => {
  it("with leftovers has the blocks of a reference checkpoint, in its order", () => {
    const { blocks } = visionSpec(config, { includeLeftovers: true });
    expect(blocks.map(({ name }) => name)).toEqual(names);
    expect(blocks.map(({ shape }) => [...shape])).toEqual(shapes);
    expect([...fixtureTensors("checkpoints/zeroshot.safetensors").keys()]).toEqual(names);
  });

  it("without leftovers has the blocks of the image tower alone, in the same order", () => {
    const { blocks } = visionSpec(config);
    expect(blocks.map(({ name }) => name)).toEqual(names.filter((name) => name.startsWith("visual.")));
    expect(blocks.every(({ kind }) => kind !== "leftover")).toBe(true);
  });

  it("marks exactly the text side as leftover", () => {
    const leftovers = visionSpec(config, { includeLeftovers: true }).blocks.filter(({ kind }) => kind === "leftover");
    expect(leftovers.map(({ name }) => name)).toEqual(names.filter((name) => !name.startsWith("visual.")));
  });
});

describe("visionSpec of a ResNet", () => {
  const { config: sizes, blocks: wanted } = fixtureJson<{
    config: { layers: [number, number, number, number]; width: number; output_dim: number; heads: number; image_size: number };
    blocks: string[];
  }>("resnet/expected.json");
  const stored = fixtureTensors("resnet/zeroshot.safetensors");
  const resNet = {
    embed_dim: sizes.output_dim,
    vision_cfg: { image_size: sizes.image_size, layers: sizes.layers, width: sizes.width, head_width: (32 * sizes.width) / sizes.heads },
    text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 2, layers: 1 },
  };
  const spec = visionSpec(resNet);

  it("has the parameters of a checkpoint as blocks, in its order and shapes", () => {
    expect(spec.blocks.map(({ name }) => name)).toEqual(wanted);
    spec.blocks.forEach(({ name, shape }) => { expect(shape, name).toEqual(stored.get(name)!.shape); });
    expect(spec).toMatchObject({ family: "resnet", heads: sizes.heads });
  });

  it("has every other tensor of the checkpoint as a buffer", () => {
    const buffers = buffersOf(spec);
    expect(buffers.map(({ name }) => name)).toEqual([...stored.keys()].filter((name) => !wanted.includes(name)));
    buffers.forEach(({ name, shape }) => { expect(shape, name).toEqual(stored.get(name)!.shape); });
  });

  it("numbers the stages, and nothing outside them", () => {
    for (const { name, layer } of spec.blocks) {
      const stage = /layer(\d)\./.exec(name)?.[1];
      expect(layer, name).toBe(stage === undefined ? null : Number(stage) - 1);
    }
  });

  it("with leftovers has the text side at the same places as a vision transformer", () => {
    const sides = (candidate: typeof resNet | typeof config): string[] => {
      const parts = visionSpec(candidate, { includeLeftovers: true }).blocks.map(({ name }) => (name.startsWith("visual.") ? "visual" : name));
      return parts.filter((part, index) => part !== parts[index - 1]);
    };
    expect(sides(resNet)).toEqual(sides(config));
  });
});

describe("textSpec", () => {
  it("has the blocks of the text tower of a full checkpoint, in its order", () => {
    const { config: own } = fixtureJson<{ config: Parameters<typeof textSpec>[0] }>("text/expected.json");
    const tower = fixtureTensors("text/text_tower_f16.safetensors");
    const { blocks } = textSpec(own);
    expect(blocks.map(({ name }) => name)).toEqual([...tower.keys()].filter((name) => name !== "logit_scale"));
    blocks.forEach(({ name, shape }) => { expect(shape, name).toEqual(tower.get(name)!.shape); });
  });
});
