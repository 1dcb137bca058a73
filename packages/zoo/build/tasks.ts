import type { Dataset, Random } from "@atlas-tv/core";
import { emojiCatalogue, fontFamilies, splitEmoji, splitFamilies, type EmojiSplit, type FamilySplit } from "@atlas-tv/datasets";
import { controlTask, flagTask } from "./emoji-tasks.js";
import { glyphTasks } from "./glyph-tasks.js";

/** What is seen when: one split of emoji and one of font families, shared by pre-training and all tasks. */
export interface Splits {
  readonly emoji: EmojiSplit;
  readonly families: FamilySplit;
}

/** Splits the installed pictures and fonts; `random` is the zoo's generator, the same for all callers. */
export function zooSplits(resolveFrom: string, random: Random): Splits {
  return {
    emoji: splitEmoji(emojiCatalogue(resolveFrom), random.fork("emoji split")),
    families: splitFamilies(fontFamilies(resolveFrom), random.fork("family split")),
  };
}

/** The rendered tasks, and the control that negation must not hurt. MNIST and Fashion-MNIST come from their own packages. */
export interface ZooTasks {
  readonly tasks: readonly Dataset[];
  readonly control: Dataset;
}

/**
 * Capitals, SmallLetters, StreetDigits, Cyrillic, Greek, Flags, and the control EmojiNames: rendered at the
 * first call, read from `cacheFolder` later.
 *
 * @param resolveFrom folder whose node_modules holds the picture and font packages
 * @throws InputError where the packages are missing
 */
export async function zooTasks(resolveFrom: string, cacheFolder: string, random: Random): Promise<ZooTasks> {
  const { emoji, families } = zooSplits(resolveFrom, random);
  const numbers = random.fork("tasks");
  return {
    tasks: [...(await glyphTasks(families, cacheFolder, numbers)), await flagTask(emoji, resolveFrom, cacheFolder, numbers)],
    control: await controlTask(emoji, cacheFolder, numbers),
  };
}
