import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { InputError, type Random } from "@atlas-tv/core";
import opentype from "opentype.js";
import { placement, outlineOf, rasterise, type Outline, type OutlineCommand } from "./glyph-outline.js";

/** One weight and style of a family. */
export interface FontFace {
  readonly weight: number;
  readonly style: string;
}

/** A font family of the `@fontsource` packages. */
export interface FontFamily {
  readonly id: string;
  /** Families drawn together (Roboto, Roboto Slab …) share it, and stay together in a split. */
  readonly kin: string;
  readonly licence: string;
  readonly subsets: readonly string[];
  readonly faces: readonly FontFace[];
  /** Folder with the `.woff` files. */
  readonly folder: string;
}

/** Upright weights that differ visibly at 32 pixels, and one italic. */
const WEIGHTS = [300, 400, 700, 900];
const ITALIC_WEIGHT = 400;

function facesOf(weights: readonly number[], styles: readonly string[]): FontFace[] {
  const chosen = WEIGHTS.filter((weight) => weights.includes(weight));
  const faces = (chosen.length > 0 ? chosen : weights.slice(0, 1)).map((weight) => ({ weight, style: "normal" }));
  return styles.includes("italic") && weights.includes(ITALIC_WEIGHT) ? [...faces, { weight: ITALIC_WEIGHT, style: "italic" }] : faces;
}

/**
 * The `@fontsource` families installed under `resolveFrom`/node_modules, by id.
 *
 * @throws InputError where none is installed.
 */
export function fontFamilies(resolveFrom: string): FontFamily[] {
  const scope = join(resolveFrom, "node_modules", "@fontsource");
  const ids = existsSync(scope) ? readdirSync(scope).sort() : [];
  if (ids.length === 0) {
    throw new InputError({
      where: scope,
      got: "no font package",
      expected: "packages of the scope @fontsource",
      next: "install the picture packages: `npm run zoo` does it before it renders",
    });
  }
  return ids.map((id) => {
    const metadata = JSON.parse(readFileSync(join(scope, id, "metadata.json"), "utf8")) as {
      subsets: string[];
      weights: number[];
      styles: string[];
      license: { type: string };
    };
    return {
      id,
      kin: id.split("-")[0]!,
      licence: metadata.license.type,
      subsets: metadata.subsets,
      faces: facesOf(metadata.weights, metadata.styles),
      folder: join(scope, id, "files"),
    };
  });
}

/** Families by what they are used for; no family, nor a relative of it, is in two parts. */
export interface FamilySplit {
  readonly pretraining: readonly FontFamily[];
  readonly taskTraining: readonly FontFamily[];
  readonly taskTest: readonly FontFamily[];
}

/** Shares of the three parts. Pre-training needs the widest choice of shapes. */
const SHARES = { pretraining: 0.5, taskTraining: 0.3, taskTest: 0.2 } as const;

type Part = keyof FamilySplit;
const PARTS: readonly Part[] = ["pretraining", "taskTraining", "taskTest"];

/**
 * Splits families at random, kin together, so that each script (Greek, Cyrillic, Latin only) is shared out
 * in the same proportions. Depends on the seed and the set of ids alone.
 */
export function splitFamilies(families: readonly FontFamily[], random: Random): FamilySplit {
  const kins = new Map<string, FontFamily[]>();
  for (const family of [...families].sort((a, b) => (a.id < b.id ? -1 : 1))) {
    kins.set(family.kin, [...(kins.get(family.kin) ?? []), family]);
  }
  const strata = new Map<string, FontFamily[][]>();
  for (const kin of kins.values()) {
    const has = (subset: string): boolean => kin.some(({ subsets }) => subsets.includes(subset));
    const script = has("greek") ? "greek" : has("cyrillic") ? "cyrillic" : "latin";
    strata.set(script, [...(strata.get(script) ?? []), kin]);
  }
  const split: Record<Part, FontFamily[]> = { pretraining: [], taskTraining: [], taskTest: [] };
  for (const [script, groups] of [...strata].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const counts: Record<Part, number> = { pretraining: 0, taskTraining: 0, taskTest: 0 };
    let dealt = 0;
    for (const index of random.fork(script).permutation(groups.length)) {
      const group = groups[index]!;
      dealt += group.length;
      // The part that is furthest behind its share gets the next group.
      const behind = PARTS.map((part) => SHARES[part] * dealt - counts[part]);
      const part = PARTS[behind.indexOf(Math.max(...behind))]!;
      split[part].push(...group);
      counts[part] += group.length;
    }
  }
  return split;
}

/** The outlines of one face by character; a character that the face lacks is absent. */
export type FaceOutlines = ReadonlyMap<string, Outline>;

/** Reads the outlines of `characters` from one subset (`latin`, `greek` …) of a face; none where the face lacks the subset. */
export function readOutlines(family: FontFamily, face: FontFace, subset: string, characters: readonly string[]): FaceOutlines {
  const file = join(family.folder, `${family.id}-${subset}-${face.weight}-${face.style}.woff`);
  const outlines = new Map<string, Outline>();
  if (!existsSync(file)) return outlines;
  const bytes = readFileSync(file);
  const font = opentype.parse(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  for (const character of characters) {
    const glyph = font.charToGlyph(character);
    // Glyph 0 is the box that stands for a missing character.
    const outline = glyph.index === 0 ? null : outlineOf(glyph.getPath(0, 0, font.unitsPerEm).commands.map(upwards));
    if (outline !== null) outlines.set(character, outline);
  }
  return outlines;
}

/** Letters whose small form looks unlike the capital. */
const TELLING = ["a", "e", "g", "r", "b", "d"];

/** Correlation from which two letters count as the same shape: true small letters reach 0.6, capitals in their place 0.75 and more. */
const SAME_SHAPE = 0.67;

/** Shapes are compared stretched to a square and coarse, so that widths and stroke weights do not count. */
const COARSE = 8;

/** Whether a face draws small letters as capitals; its small letters cannot be told from capitals. */
export function isUnicase(outlines: FaceOutlines): boolean {
  const alike = TELLING.map((letter) => {
    const [small, capital] = [outlines.get(letter), outlines.get(letter.toUpperCase())];
    return small === undefined || capital === undefined ? 1 : correlation(coarseShape(small), coarseShape(capital));
  });
  return alike.reduce((sum, value) => sum + value, 0) / alike.length > SAME_SHAPE;
}

function coarseShape(outline: Outline): Uint8Array {
  const half = COARSE / 2;
  return rasterise(outline, placement({ scaleX: half / outline.halfWidth, scaleY: half / outline.halfHeight, x: half, y: half }), COARSE);
}

function correlation(one: Uint8Array, other: Uint8Array): number {
  const [meanOne, meanOther] = [one, other].map((values) => values.reduce((sum, value) => sum + value, 0) / values.length) as [number, number];
  let [product, squareOne, squareOther] = [0, 0, 0];
  one.forEach((value, index) => {
    const [a, b] = [value - meanOne, other[index]! - meanOther];
    product += a * b;
    squareOne += a * a;
    squareOther += b * b;
  });
  return squareOne === 0 || squareOther === 0 ? 0 : product / Math.sqrt(squareOne * squareOther);
}

/** Opentype draws with y downwards; outlines are kept upwards. */
function upwards(command: opentype.PathCommand): OutlineCommand {
  switch (command.type) {
    case "Z":
      return command;
    case "C":
      return { ...command, y: -command.y, y1: -command.y1, y2: -command.y2 };
    case "Q":
      return { ...command, y: -command.y, y1: -command.y1 };
    default:
      return { ...command, y: -command.y };
  }
}
