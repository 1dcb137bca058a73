import { InputError, type Dataset, type Random } from "@atlas-tv/core";
import {
  GLYPH_CHARACTERS, loadGlyphs, noisyChalk, onStreet, onTexture, rotated, slantedChalk,
  type CharacterSetName, type FamilySplit, type GlyphStyle, type LoadedFamilies, type Outline,
} from "@atlas-tv/datasets";
import { PICTURE_BYTES, cached, renderedSource } from "./rendered-images.js";

/** A task of naming characters. */
interface GlyphTask {
  readonly name: string;
  readonly set: CharacterSetName;
  readonly style: GlyphStyle;
  readonly templates: readonly string[];
  /** Pictures per class. */
  readonly train: number;
  readonly test: number;
}

const GLYPH_TASKS: readonly GlyphTask[] = [
  { name: "Capitals", set: "capital", style: onTexture, templates: ["the capital letter {}", "capital {}"], train: 200, test: 80 },
  { name: "SmallLetters", set: "small", style: noisyChalk, templates: ["the small letter {}", "small {}"], train: 200, test: 80 },
  { name: "StreetDigits", set: "digit", style: onStreet, templates: ["the digit {}", "the number {}"], train: 500, test: 250 },
  { name: "Cyrillic", set: "cyrillic", style: slantedChalk, templates: ["the cyrillic letter {}", "cyrillic {}"], train: 270, test: 110 },
  { name: "Greek", set: "greek", style: rotated, templates: ["the greek letter {}", "greek {}"], train: 210, test: 90 },
];

/** Renders each task once; training and test pictures come from different font families. */
export async function glyphTasks(families: FamilySplit, cacheFolder: string, random: Random): Promise<Dataset[]> {
  let loaded: { train: ReturnType<typeof loadGlyphs>; test: ReturnType<typeof loadGlyphs> } | undefined;
  const ids = [families.taskTraining, families.taskTest].map((part) => part.map(({ id }) => id));
  const tasks: Dataset[] = [];
  for (const task of GLYPH_TASKS) {
    const classNames = GLYPH_CHARACTERS[task.set].map(({ name }) => name);
    const numbers = random.fork(task.name);
    const key = [ids, task.train, task.test, numbers.fork("key").next()];
    const { bytes } = await cached(cacheFolder, task.name, key, () => {
      loaded ??= { train: loadGlyphs(families.taskTraining), test: loadGlyphs(families.taskTest) };
      const train = renderGlyphs(task, loaded.train[task.set], task.train, numbers.fork("train"));
      const test = renderGlyphs(task, loaded.test[task.set], task.test, numbers.fork("test"));
      const both = new Uint8Array(train.length + test.length);
      both.set(train);
      both.set(test, train.length);
      return Promise.resolve({ facts: {}, bytes: both });
    });
    const part = (name: string, perClass: number, from: number): Dataset["train"] => {
      const labels = labelsInTurn(classNames.length, perClass);
      return renderedSource(`${task.name} ${name}`, classNames, labels, bytes.subarray(from, from + labels.length * PICTURE_BYTES));
    };
    tasks.push({
      name: task.name,
      classNames,
      templates: task.templates,
      augmentation: "affine",
      train: part("train", task.train, 0),
      test: part("test", task.test, classNames.length * task.train * PICTURE_BYTES),
    });
  }
  return tasks;
}

/** 0, 1 … classes − 1, again and again. */
export function labelsInTurn(classes: number, perClass: number): Int32Array {
  return Int32Array.from({ length: classes * perClass }, (_, index) => index % classes);
}

/** Every family draws every class equally often (as near as the numbers divide); faces are drawn at random. */
function renderGlyphs(task: GlyphTask, families: LoadedFamilies, perClass: number, random: Random): Uint8Array {
  if (families.length === 0) {
    throw new InputError({ where: `task ${task.name}`, got: "no font family with these characters", expected: "at least one", next: "install all picture packages" });
  }
  const classes = GLYPH_CHARACTERS[task.set].length;
  const bytes = new Uint8Array(classes * perClass * PICTURE_BYTES);
  labelsInTurn(classes, perClass).forEach((label, index) => {
    const faces = families[Math.floor(index / classes) % families.length]!;
    const face = faces[random.below(faces.length)]!;
    // A loaded face has the first form of every character.
    const outline = (character: number): Outline => face.outlines[character]![0]!;
    const picture = task.style(outline(label), random, () => outline(random.below(classes)));
    bytes.set(picture, index * PICTURE_BYTES);
  });
  return bytes;
}
