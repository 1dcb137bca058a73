import { readFileSync } from "node:fs";
import { InputError } from "@atlas-tv/core";
import type { Command } from "commander";
import { parse } from "yaml";

/** Keys of a settings file that stand for a flag of another name. */
const SYNONYMS: Readonly<Record<string, string>> = { shots: "subsample", fraction: "subsample" };

function read(path: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new InputError({ where: `--settings ${path}`, got: cause instanceof Error ? cause.message : String(cause), expected: "a YAML file of flags and values" }, { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new InputError({ where: `--settings ${path}`, got: Array.isArray(value) ? "a list" : String(value), expected: "flags and values, for example `target: MNIST`" });
}

function asText(key: string, value: unknown): string {
  if (Array.isArray(value)) return value.map(String).join(",");
  // A whole fraction keeps its point, which is what tells it from a number of shots.
  if (key === "fraction" && typeof value === "number") return value.toFixed(Math.max(1, String(value).split(".")[1]?.length ?? 1));
  return String(value);
}

/** Gives every flag that the command line does not set the value that the settings file has. */
export function applySettings(command: Command, path: string): void {
  for (const [key, value] of Object.entries(read(path))) {
    const name = (SYNONYMS[key] ?? key).replaceAll("_", "-");
    const option = command.options.find((candidate) => candidate.long === `--${name}` || candidate.long === `--no-${name}`);
    if (option === undefined) {
      throw new InputError({ where: `--settings ${path}`, got: `"${key}"`, expected: `a flag of atlas ${command.name()}: ${command.options.map((candidate) => candidate.long?.slice(2)).join(", ")}` });
    }
    const attribute = option.attributeName();
    const source = command.getOptionValueSource(attribute);
    if (source !== undefined && source !== "default") continue;
    const parsed: unknown = typeof value === "boolean" ? value : option.parseArg === undefined ? asText(key, value) : option.parseArg(asText(key, value), undefined);
    command.setOptionValueWithSource(attribute, parsed, "config");
  }
}
