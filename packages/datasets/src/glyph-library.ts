import { GLYPH_CHARACTERS, SUBSET_OF, type CharacterSetName } from "./glyph-characters.js";
import { isUnicase, readOutlines, type FontFamily } from "./glyph-fonts.js";
import type { Outline } from "./glyph-outline.js";

/** One face's outlines of a character set: `outlines[character][form]`, null where the face lacks it. */
export interface LoadedFace {
  readonly family: string;
  readonly outlines: readonly (readonly (Outline | null)[])[];
}

/** The faces of each family that draw a whole character set in its first form. */
export type LoadedFamilies = readonly (readonly LoadedFace[])[];

const SET_NAMES = Object.keys(GLYPH_CHARACTERS) as CharacterSetName[];

/**
 * Reads every character set of the families. A family counts for a set where it has all the set's first
 * forms; families that draw small letters as capitals do not count for the small letters.
 */
export function loadGlyphs(families: readonly FontFamily[]): Readonly<Record<CharacterSetName, LoadedFamilies>> {
  const loaded: Record<CharacterSetName, LoadedFace[][]> = { capital: [], small: [], digit: [], greek: [], cyrillic: [] };
  for (const family of families) {
    const ofFamily: Record<CharacterSetName, LoadedFace[]> = { capital: [], small: [], digit: [], greek: [], cyrillic: [] };
    for (const face of family.faces) {
      for (const subset of new Set(Object.values(SUBSET_OF))) {
        const sets = SET_NAMES.filter((set) => SUBSET_OF[set] === subset);
        const characters = sets.flatMap((set) => GLYPH_CHARACTERS[set].flatMap(({ forms }) => forms));
        const outlines = readOutlines(family, face, subset, characters);
        if (outlines.size === 0) continue;
        for (const set of sets) {
          if (set === "small" && isUnicase(outlines)) continue;
          const ofSet = GLYPH_CHARACTERS[set].map(({ forms }) => forms.map((form) => outlines.get(form) ?? null));
          if (ofSet.every((forms) => forms[0] !== null)) ofFamily[set].push({ family: family.id, outlines: ofSet });
        }
      }
    }
    for (const set of SET_NAMES) if (ofFamily[set].length > 0) loaded[set].push(ofFamily[set]);
  }
  return loaded;
}
