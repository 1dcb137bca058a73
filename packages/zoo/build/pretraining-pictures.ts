import type { Random } from "@atlas-tv/core";
import {
  EMOJI_SIZE, EMOJI_VENDORS, GLYPH_CHARACTERS, UNSEEN_VENDOR, loadGlyphs, placement, rasterise, readEmojiPicture,
  type CharacterSetName, type EmojiIdentity, type EmojiVendor, type FontFamily,
} from "@atlas-tv/datasets";
import { cached } from "./rendered-images.js";

/** Artists that pre-training sees. */
const VENDORS = EMOJI_VENDORS.filter((vendor) => vendor !== UNSEEN_VENDOR);

/** Bytes of an emoji with its opacity. */
export const EMOJI_BYTES = EMOJI_SIZE * EMOJI_SIZE * 4;

/** Glyph masks are kept larger than pictures, since they are scaled when used; the glyph's larger side is `GLYPH_INK`. */
export const GLYPH_SIDE = 40;
export const GLYPH_INK = 36;
export const GLYPH_BYTES = GLYPH_SIDE * GLYPH_SIDE;

/** One drawing of an emoji. */
export interface EmojiDrawing {
  /** Index into the identities. */
  readonly identity: number;
  readonly vendor: EmojiVendor;
}

/** Drawings in order, and their RGBA bytes one after the other. */
export interface EmojiBank {
  readonly drawings: readonly EmojiDrawing[];
  readonly bytes: Uint8Array;
}

/** All drawings of the identities by the vendors that pre-training sees. */
export async function emojiBank(identities: readonly EmojiIdentity[], cacheFolder: string): Promise<EmojiBank> {
  const drawings = identities.flatMap(({ files }, identity) =>
    VENDORS.filter((vendor) => files[vendor] !== undefined).map((vendor): EmojiDrawing => ({ identity, vendor })),
  );
  const key = [identities.map(({ code }) => code), VENDORS];
  const { bytes } = await cached(cacheFolder, "emoji", key, async () => {
    const all = new Uint8Array(drawings.length * EMOJI_BYTES);
    for (const [index, { identity, vendor }] of drawings.entries()) {
      all.set(await readEmojiPicture(identities[identity]!.files[vendor]!), index * EMOJI_BYTES);
    }
    return { facts: {}, bytes: all };
  });
  return { drawings, bytes };
}

/** Masks of one face of one family: for each character, where its forms' masks are (index into the bytes). */
type FaceMasks = readonly (readonly number[])[];

/** Masks by set and family, and their bytes one after the other. */
export interface GlyphBank {
  readonly sets: Readonly<Record<CharacterSetName, readonly (readonly FaceMasks[])[]>>;
  readonly bytes: Uint8Array;
}

/** The masks of every character in every face of the families. */
export async function glyphBank(families: readonly FontFamily[], cacheFolder: string): Promise<GlyphBank> {
  const key = [families.map(({ id }) => id), GLYPH_SIDE, GLYPH_INK];
  const { facts, bytes } = await cached(cacheFolder, "glyphs", key, () => {
    const masks: Uint8Array[] = [];
    const loaded = loadGlyphs(families);
    const place = placement({ scaleX: GLYPH_INK / 2, x: GLYPH_SIDE / 2, y: GLYPH_SIDE / 2 });
    const setNames = Object.keys(loaded) as CharacterSetName[];
    const sets = Object.fromEntries(
      setNames.map((set) => [
        set,
        loaded[set].map((faces) =>
          faces.map(({ outlines }) =>
            outlines.map((forms) => forms.filter((form) => form !== null).map((form) => masks.push(rasterise(form, place, GLYPH_SIDE)) - 1)),
          ),
        ),
      ]),
    ) as unknown as GlyphBank["sets"];
    return Promise.resolve({ facts: sets, bytes: new Uint8Array(Buffer.concat(masks)) });
  });
  return { sets: facts, bytes };
}

/** How often each set is drawn, so that ten digits are not lost among a hundred letters. */
const SET_SHARES: Readonly<Record<CharacterSetName, number>> = { capital: 0.26, small: 0.22, digit: 0.28, greek: 0.12, cyrillic: 0.12 };

/** A mask of a random set, family, face, character and form. */
export function drawGlyph({ sets }: GlyphBank, random: Random): { set: CharacterSetName; character: number; mask: number } {
  let level = random.next();
  const names = Object.keys(SET_SHARES) as CharacterSetName[];
  const set = names.find((name) => (level -= SET_SHARES[name]) < 0) ?? "digit";
  const families = sets[set];
  const faces = families[random.below(families.length)]!;
  const face = faces[random.below(faces.length)]!;
  const character = random.below(GLYPH_CHARACTERS[set].length);
  const forms = face[character]!;
  return { set, character, mask: forms[random.below(forms.length)]! };
}
