import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Random } from "@atlas-tv/core";
import { GLYPH_CHARACTERS, UNSEEN_VENDOR, loadGlyphs } from "@atlas-tv/datasets";
import { EMOJI_BYTES, emojiBank, glyphBank } from "../build/pretraining-pictures.js";
import { zooSplits } from "../build/tasks.js";

const resolveFrom = fileURLToPath(new URL("../pictures", import.meta.url));
const installed = existsSync(join(resolveFrom, "node_modules", "openmoji"));

describe("the picture packages", () => {
  let folder: string;
  beforeEach((ctx) => ctx.skip(!installed, "the picture packages are not installed; `npm run zoo` installs them"));
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "pictures-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("give every part of the split fonts for every alphabet", () => {
    const { families } = zooSplits(resolveFrom, new Random(0));
    for (const part of [families.pretraining, families.taskTraining, families.taskTest]) {
      for (const set of Object.values(loadGlyphs(part))) expect(set.length).toBeGreaterThanOrEqual(5);
    }
  });

  it("draw an emoji and a font family for pre-training, never by the unseen vendor", async () => {
    const { emoji, families } = zooSplits(resolveFrom, new Random(0));
    const { drawings, bytes } = await emojiBank(emoji.pretraining.slice(0, 4), folder);
    expect(drawings.map(({ vendor }) => vendor)).not.toContain(UNSEEN_VENDOR);
    for (let index = 0; index < drawings.length; index++) {
      const opacity = bytes.subarray(index * EMOJI_BYTES, (index + 1) * EMOJI_BYTES).filter((_, at) => at % 4 === 3);
      expect(Math.max(...opacity)).toBe(255);
    }
    const glyphs = await glyphBank(families.pretraining.slice(0, 1), folder);
    expect(glyphs.sets.digit[0]![0]).toHaveLength(GLYPH_CHARACTERS.digit.length);
  });
});
