import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { InputError, type Random } from "@atlas-tv/core";

/** Who drew the pictures: Google Noto, OpenMoji in colour and in black lines, Twemoji. */
export const EMOJI_VENDORS = ["google", "openmoji", "openmoji-black", "twitter"] as const;
export type EmojiVendor = (typeof EMOJI_VENDORS)[number];

/** Kept out of pre-training: tasks on unseen artwork are drawn from it. */
export const UNSEEN_VENDOR: EmojiVendor = "twitter";

/** One emoji, whoever draws it. Skin tones and hair variants are not listed. */
export interface EmojiIdentity {
  /** Code points in hexadecimal, joined by `-`, without the variation selector FE0F. */
  readonly code: string;
  /** English name in words, lower case: `grinning face`, `flag france`. */
  readonly name: string;
  /** Further words people use for it. */
  readonly keywords: readonly string[];
  /** `animals nature`, `food drink` … */
  readonly category: string;
  /** `animal mammal`, `food fruit` … */
  readonly subcategory: string;
  /** Vendors with a picture of their own, and its file. */
  readonly files: Readonly<Partial<Record<EmojiVendor, string>>>;
}

interface OpenMojiRow {
  readonly hexcode: string;
  readonly group: string;
  readonly subgroups: string;
  readonly annotation: string;
  readonly tags: string;
  readonly openmoji_tags: string;
  readonly skintone: string;
}

interface EmojiDataRow {
  readonly unified: string;
  readonly image: string;
  readonly short_names: readonly string[];
  readonly has_img_google: boolean;
  readonly has_img_twitter: boolean;
}

/** Lower-case words of letters and digits; accents are dropped, everything else separates words. */
export function wordsOf(text: string): string[] {
  return text
    .normalize("NFD")
    .replace(/[\u0300-\u036f'’]/g, "")
    .toLowerCase()
    .split(/[^a-z0-9]+/)
    .filter((word) => word !== "");
}

const plain = (text: string): string => wordsOf(text).join(" ");

const codeOf = (hexadecimal: string): string => hexadecimal.toUpperCase().split("-").filter((point) => point !== "FE0F").join("-");

/** OpenMoji's own additions are left out: only one vendor draws them. */
const LEFT_OUT = /^(extras-|component$)/;

/** Without colour a flag is an empty frame. */
const NEEDS_COLOUR = "flags";

/**
 * All emoji that every vendor's package lists, in Unicode order, with names and groups from OpenMoji
 * (Unicode CLDR) and keywords from OpenMoji and emoji-datasource.
 *
 * @throws InputError where a picture package is missing under `resolveFrom`/node_modules.
 */
export function emojiCatalogue(resolveFrom: string): EmojiIdentity[] {
  const modules = join(resolveFrom, "node_modules");
  const openmoji = readJson<OpenMojiRow[]>(join(modules, "openmoji", "data", "openmoji.json"));
  const google = readJson<EmojiDataRow[]>(join(modules, "emoji-datasource-google", "emoji.json"));
  const rows = new Map(google.map((row) => [codeOf(row.unified), row]));
  const seen = new Set<string>();
  const identities: EmojiIdentity[] = [];
  for (const { hexcode, group, subgroups, annotation, tags, openmoji_tags, skintone } of openmoji) {
    const code = codeOf(hexcode);
    const row = rows.get(code);
    if (row === undefined || skintone !== "" || LEFT_OUT.test(group) || seen.has(code)) continue;
    seen.add(code);
    const name = plain(annotation);
    const keywords = [...tags.split(","), ...openmoji_tags.split(","), ...row.short_names].map(plain);
    const single = (vendor: string): string => join(modules, `emoji-datasource-${vendor}`, "img", vendor, "64", row.image);
    identities.push({
      code,
      name,
      keywords: [...new Set(keywords)].filter((keyword) => keyword !== "" && keyword !== name),
      category: plain(group),
      subcategory: plain(subgroups),
      files: {
        ...(row.has_img_google ? { google: single("google") } : {}),
        openmoji: join(modules, "openmoji", "color", "svg", `${hexcode}.svg`),
        ...(group === NEEDS_COLOUR ? {} : { "openmoji-black": join(modules, "openmoji", "black", "svg", `${hexcode}.svg`) }),
        ...(row.has_img_twitter ? { twitter: single("twitter") } : {}),
      },
    });
  }
  return identities;
}

function readJson<T>(path: string): T {
  if (!existsSync(path)) {
    throw new InputError({
      where: path,
      got: "no such file",
      expected: "the data file of an installed picture package",
      next: "install the picture packages: `npm run zoo` does it before it renders",
    });
  }
  return JSON.parse(readFileSync(path, "utf8")) as T;
}

/** Identities by use. */
export interface EmojiSplit {
  readonly pretraining: readonly EmojiIdentity[];
  readonly taskTraining: readonly EmojiIdentity[];
  readonly taskTest: readonly EmojiIdentity[];
}

/** Shares of the first two parts; the rest is for tests. */
const PRETRAINING_SHARE = 0.9;
const TASK_TRAINING_SHARE = 0.05;

/** Kept whole for pre-training: no other pictures there teach the words for garments. */
const NOT_SPLIT = "clothing";

/** Splits identities at random within each subcategory but `clothing`. Depends on the seed and the codes alone. */
export function splitEmoji(identities: readonly EmojiIdentity[], random: Random): EmojiSplit {
  const groups = new Map<string, EmojiIdentity[]>();
  for (const identity of [...identities].sort((a, b) => (a.code < b.code ? -1 : 1))) {
    groups.set(identity.subcategory, [...(groups.get(identity.subcategory) ?? []), identity]);
  }
  const split = { pretraining: [] as EmojiIdentity[], taskTraining: [] as EmojiIdentity[], taskTest: [] as EmojiIdentity[] };
  for (const [subcategory, members] of groups) {
    const order = random.fork(subcategory).permutation(members.length);
    const first = subcategory === NOT_SPLIT ? members.length : Math.round(members.length * PRETRAINING_SHARE);
    const second = first + Math.round((members.length - first) * (TASK_TRAINING_SHARE / (1 - PRETRAINING_SHARE)));
    order.forEach((index, place) => {
      const part = place < first ? "pretraining" : place < second ? "taskTraining" : "taskTest";
      split[part].push(members[index]!);
    });
  }
  return split;
}
