import type { Dataset, Random } from "@atlas-tv/core";
import {
  EMOJI_VENDORS, FLAG_DRAWINGS, SLIGHT_VARIATION, UNSEEN_VENDOR, WAVING_VARIATION, countryOf, flagFiles, onGround, readEmojiPicture, varied,
  type EmojiIdentity, type EmojiPicture, type EmojiSplit, type Variation,
} from "@atlas-tv/datasets";
import { labelsInTurn } from "./glyph-tasks.js";
import { PICTURE_BYTES, cached, renderedSource } from "./rendered-images.js";

/** Classes of the flag task and of the control task. */
const CLASSES = 100;

const FLAG_TEMPLATES = ["{}", "an emoji of {}", "a picture of {} flags"];
const CONTROL_TEMPLATES = ["{}", "an emoji of {}", "a picture of {}"];

/** Flags that differ by less than this (mean over pixels and channels, of 255) cannot be told apart in the wind. */
const LEAST_DIFFERENCE = 20;

/** Pictures per class: training, test. A tenth of the control's training pictures are what negation validates on. */
const FLAG_PICTURES = [60, 25] as const;
const CONTROL_PICTURES = [200, 24] as const;

/** How names are chosen, in the cached file. */
interface Chosen {
  readonly names: readonly string[];
}

/**
 * 100 flags whose names pre-training knows, drawn by artists it does not know: training pictures from
 * flag-icons and circle-flags, test pictures by Twemoji, all of them waving.
 */
export async function flagTask(split: EmojiSplit, resolveFrom: string, cacheFolder: string, random: Random): Promise<Dataset> {
  const name = "Flags";
  const numbers = random.fork(name);
  const [train, test] = FLAG_PICTURES;
  const key = [split.pretraining.map(({ code }) => code), train, test, numbers.fork("key").next()];
  const rendered = await cached(cacheFolder, name, key, async () => {
    const flags = await distinctFlags(split.pretraining, resolveFrom, numbers.fork("choice"));
    const drawings = flags.map(({ drawn }) => drawn);
    const bytes = joined([
      renderVaried(drawings, train, WAVING_VARIATION, numbers.fork("train")),
      renderVaried(flags.map(({ unseen }) => [unseen]), test, WAVING_VARIATION, numbers.fork("test")),
    ]);
    return { facts: { names: flags.map(({ identity }) => identity.name) }, bytes };
  });
  return asDataset(name, rendered.facts, FLAG_TEMPLATES, rendered.bytes, FLAG_PICTURES);
}

/**
 * The control of negation: naming 100 emoji that pre-training has seen, drawn by all four vendors with
 * small changes. Training and test pictures are different changes of the same drawings.
 */
export async function controlTask(split: EmojiSplit, cacheFolder: string, random: Random): Promise<Dataset> {
  const name = "EmojiNames";
  const numbers = random.fork(name);
  const [train, test] = CONTROL_PICTURES;
  const key = [split.pretraining.map(({ code }) => code), train, test, numbers.fork("key").next()];
  const rendered = await cached(cacheFolder, name, key, async () => {
    const identities = spreadChoice(split.pretraining.filter(isNameable), CLASSES, numbers.fork("choice"));
    const drawings = await Promise.all(identities.map(({ files }) => Promise.all(EMOJI_VENDORS.map((vendor) => readEmojiPicture(files[vendor]!)))));
    const bytes = joined([
      renderVaried(drawings, train, SLIGHT_VARIATION, numbers.fork("train")),
      renderVaried(drawings, test, SLIGHT_VARIATION, numbers.fork("test")),
    ]);
    return { facts: { names: identities.map((identity) => identity.name) }, bytes };
  });
  return asDataset(name, rendered.facts, CONTROL_TEMPLATES, rendered.bytes, CONTROL_PICTURES);
}

function asDataset(name: string, { names }: Chosen, templates: readonly string[], bytes: Uint8Array, [train, test]: readonly [number, number]): Dataset {
  const split = names.length * train * PICTURE_BYTES;
  return {
    name,
    classNames: names,
    templates,
    augmentation: "affine",
    train: renderedSource(`${name} train`, names, labelsInTurn(names.length, train), bytes.subarray(0, split)),
    test: renderedSource(`${name} test`, names, labelsInTurn(names.length, test), bytes.subarray(split)),
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** `perClass` changed copies of each class, its drawings in turn, classes in turn. */
function renderVaried(drawings: readonly (readonly EmojiPicture[])[], perClass: number, variation: Variation, random: Random): Uint8Array {
  const bytes = new Uint8Array(drawings.length * perClass * PICTURE_BYTES);
  labelsInTurn(drawings.length, perClass).forEach((label, index) => {
    const ofClass = drawings[label]!;
    const drawing = ofClass[Math.floor(index / drawings.length) % ofClass.length]!;
    bytes.set(varied(drawing, variation, random), index * PICTURE_BYTES);
  });
  return bytes;
}

interface Flag {
  readonly identity: EmojiIdentity;
  readonly drawn: readonly EmojiPicture[];
  readonly unseen: EmojiPicture;
}

/** Two drawings of one design differ by less than this: a territory that flies another country's flag. */
const SAME_DESIGN = 4;

/** The first 100 flags of a random order that no other name shares and that are unlike each other in every drawing. */
async function distinctFlags(identities: readonly EmojiIdentity[], resolveFrom: string, random: Random): Promise<Flag[]> {
  const countries = identities.filter((identity) => countryOf(identity) !== null && identity.files[UNSEEN_VENDOR] !== undefined);
  const designs = await Promise.all(countries.map(async ({ files }) => onGround(await readEmojiPicture(files[UNSEEN_VENDOR]!))));
  const single = countries.filter((_, index) => designs.every((design, other) => other === index || difference(design, designs[index]!) >= SAME_DESIGN));
  const chosen: Flag[] = [];
  for (const index of random.permutation(single.length)) {
    const identity = single[index]!;
    const country = countryOf(identity);
    const files = country === null ? null : flagFiles(resolveFrom, country);
    const own = identity.files[UNSEEN_VENDOR];
    if (files === null || own === undefined) continue;
    const drawn = await Promise.all(FLAG_DRAWINGS.map((drawing) => readEmojiPicture(files[drawing])));
    const flag = { identity, drawn, unseen: await readEmojiPicture(own) };
    if (chosen.every((other) => unlike(flag, other))) chosen.push(flag);
    if (chosen.length === CLASSES) break;
  }
  return chosen;
}

function unlike(one: Flag, other: Flag): boolean {
  const pairs = [...one.drawn.map((drawing, index) => [drawing, other.drawn[index]!] as const), [one.unseen, other.unseen] as const];
  return pairs.every(([a, b]) => difference(onGround(a), onGround(b)) >= LEAST_DIFFERENCE);
}

function difference(one: Uint8Array, other: Uint8Array): number {
  return one.reduce((sum, value, at) => sum + Math.abs(value - other[at]!), 0) / one.length;
}

/** One or two plain words, all vendors, and no flag: flags are a task of their own. */
function isNameable({ name, category, files }: EmojiIdentity): boolean {
  return name.split(" ").length <= 2 && category !== "flags" && category !== "symbols" && EMOJI_VENDORS.every((vendor) => files[vendor] !== undefined);
}

/** `count` identities, one subcategory after the other in turn, so that they are as unlike as possible. */
function spreadChoice(identities: readonly EmojiIdentity[], count: number, random: Random): EmojiIdentity[] {
  const groups = new Map<string, EmojiIdentity[]>();
  for (const index of random.permutation(identities.length)) {
    const identity = identities[index]!;
    groups.set(identity.subcategory, [...(groups.get(identity.subcategory) ?? []), identity]);
  }
  const chosen: EmojiIdentity[] = [];
  for (let round = 0; chosen.length < count && round < identities.length; round++) {
    for (const group of groups.values()) {
      const identity = group[round];
      if (identity !== undefined && chosen.length < count) chosen.push(identity);
    }
  }
  return chosen;
}
