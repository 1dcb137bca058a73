import { describe, expect, it } from "vitest";
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

describe("textSpec", () => {
  it("has the blocks of the text tower of a full checkpoint, in its order", () => {
    const { config: own } = fixtureJson<{ config: Parameters<typeof textSpec>[0] }>("text/expected.json");
    const tower = fixtureTensors("text/text_tower_f16.safetensors");
    const { blocks } = textSpec(own);
    expect(blocks.map(({ name }) => name)).toEqual([...tower.keys()].filter((name) => name !== "logit_scale"));
    blocks.forEach(({ name, shape }) => { expect(shape, name).toEqual(tower.get(name)!.shape); });
  });
});
