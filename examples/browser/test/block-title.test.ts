import { visionSpec } from "@atlas-tv/clip";
import { expect, it } from "vitest";
import { blockTitle } from "../src/block-title.js";

const config = {
  embed_dim: 8,
  vision_cfg: { image_size: 8, layers: 2, width: 8, head_width: 4, patch_size: 4 },
  text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 2, layers: 1 },
};

it("every block of a vision transformer has a title of its own", () => {
  const names = visionSpec(config).blocks.map(({ name }) => name);
  const titles = names.map((name) => blockTitle(name));
  expect(new Set(titles.map(({ part, label }) => `${part}: ${label}`)).size).toBe(names.length);
  expect(titles.filter(({ label }) => names.includes(label))).toEqual([]);
  expect(blockTitle("visual.transformer.resblocks.1.attn.in_proj_bias")).toEqual({ part: "Layer 2", label: "attention in, bias" });
});

it("a block of another network keeps its name", () => {
  expect(blockTitle("visual.layer1.0.conv1.weight")).toEqual({ part: "Outside the layers", label: "visual.layer1.0.conv1.weight" });
});
