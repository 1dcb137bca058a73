import { InputError } from "@atlas-tv/core";
import { parse } from "yaml";

/** How much of the training data is used: k images a class, or a share of all. */
export type Subsample = { readonly shots: number } | { readonly fraction: number };

/** `--subsample`: without a decimal point shots per class, with one a fraction in (0, 1]. */
export function parseSubsample(text: string): Subsample {
  const value = Number(text);
  const wrong = (expected: string): InputError =>
    new InputError({
      where: "--subsample",
      got: `"${text}"`,
      expected,
      next: "for example --subsample 4 (shots a class) or --subsample 0.25 (a quarter of the data)",
    });
  if (/^\d+$/.test(text) && value >= 1) return { shots: value };
  if (/^\d*\.\d+$/.test(text) && value > 0 && value <= 1) return { fraction: value };
  throw wrong("a whole number of shots from 1, or a fraction with a decimal point in (0, 1]");
}

/** A parser for numeric flags that names the flag when it fails. */
export function numberFlag(flag: string, check: (value: number) => boolean, expected: string): (text: string) => number {
  return (text) => {
    const value = text.trim() === "" ? NaN : Number(text);
    if (Number.isFinite(value) && check(value)) return value;
    throw new InputError({ where: flag, got: `"${text}"`, expected });
  };
}

export const positive = (flag: string): ((text: string) => number) => numberFlag(flag, (value) => value > 0, "a positive number");
export const nonNegative = (flag: string): ((text: string) => number) =>
  numberFlag(flag, (value) => value >= 0, "a number from 0");
export const wholeFromZero = (flag: string): ((text: string) => number) =>
  numberFlag(flag, (value) => Number.isInteger(value) && value >= 0, "a whole number from 0");
export const share = (flag: string): ((text: string) => number) =>
  numberFlag(flag, (value) => value >= 0 && value < 1, "a number from 0 to below 1");
export const count = (flag: string): ((text: string) => number) =>
  numberFlag(flag, (value) => Number.isInteger(value) && value >= 1, "a whole number from 1");

/** A comma-separated list without empty entries. */
export function list(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

/** Seeds of one or several runs. */
export function seeds(text: string): number[] {
  const all = list(text).map(wholeFromZero("--seed"));
  const twice = all.find((value, index) => all.indexOf(value) !== index);
  if (all.length > 0 && twice === undefined) return all;
  throw new InputError({
    where: "--seed",
    got: twice === undefined ? `"${text}"` : `${twice} twice`,
    expected: "one or more different whole numbers, separated by commas",
  });
}

/** Options of a plug-in, as a YAML or JSON mapping: `{ steps: 200 }`. */
export function mapping(flag: string): (text: string) => Readonly<Record<string, unknown>> {
  return (text) => {
    let value: unknown;
    try {
      value = parse(text);
    } catch {
      value = null;
    }
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    throw new InputError({ where: flag, got: `"${text}"`, expected: "a mapping", next: `for example ${flag} "{ steps: 200 }"` });
  };
}
