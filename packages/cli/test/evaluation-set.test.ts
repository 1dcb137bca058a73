import { readFileSync } from "node:fs";
import { join } from "node:path";
import { estimateMemory } from "@atlas-tv/backend-cpu";
import { knownModel, knownModelNames, parseClipConfig, visionSpec } from "@atlas-tv/clip";
import { zooCheckpoints } from "@atlas-tv/zoo";
import { describe, expect, test } from "vitest";
import { imagesAtOnce } from "../src/evaluation-set.js";

const GIB = 2 ** 30;

describe("images that are evaluated at once", () => {
  test.each(knownModelNames())("leave room on a laptop: %s", (name) => {
    const spec = visionSpec(knownModel(name));
    const batch = imagesAtOnce(spec);
    const { activations, workspace } = estimateMemory(spec, { batch, composition: "scalar", gradient: false });
    expect(activations + workspace).toBeLessThan(3 * GIB);
    expect(batch).toBeGreaterThan(4);
  });

  test("are 250 of the zoo's model", () => {
    const config = JSON.parse(readFileSync(join(zooCheckpoints(), "mini-clip", "open_clip_config.json"), "utf8")) as { model_cfg?: unknown };
    expect(imagesAtOnce(visionSpec(parseClipConfig(config.model_cfg ?? config)))).toBe(250);
  });
});
