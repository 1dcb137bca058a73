import { existsSync } from "node:fs";
import { join } from "node:path";
import type { EmojiIdentity } from "./emoji-catalogue.js";

/** Flag drawings outside the emoji sets: flag-icons in two proportions, and circle-flags. */
export const FLAG_DRAWINGS = ["flag-icons-4x3", "flag-icons-1x1", "circle-flags"] as const;
export type FlagDrawing = (typeof FLAG_DRAWINGS)[number];

/** First of the code points that spell a country's two letters. */
const REGIONAL_A = 0x1f1e6;

/** The two-letter country code of a flag emoji, lower case; null for other emoji. */
export function countryOf({ code }: Pick<EmojiIdentity, "code">): string | null {
  const points = code.split("-").map((point) => Number.parseInt(point, 16) - REGIONAL_A);
  if (points.length !== 2 || points.some((point) => !(point >= 0 && point < 26))) return null;
  return points.map((point) => String.fromCharCode(97 + point)).join("");
}

/** The SVG file of a country's flag in each drawing, or null where one of them lacks it. */
export function flagFiles(resolveFrom: string, country: string): Record<FlagDrawing, string> | null {
  const modules = join(resolveFrom, "node_modules");
  const files = {
    "flag-icons-4x3": join(modules, "flag-icons", "flags", "4x3", `${country}.svg`),
    "flag-icons-1x1": join(modules, "flag-icons", "flags", "1x1", `${country}.svg`),
    "circle-flags": join(modules, "circle-flags", "flags", `${country}.svg`),
  };
  return Object.values(files).every((file) => existsSync(file)) ? files : null;
}
