import { readFileSync } from "node:fs";
import { InputError } from "@atlas-tv/core";
import { CommanderError, type Command, type Option } from "commander";
import { parse } from "yaml";

/** Keys of a settings file that stand for a flag of another name. */
const SYNONYMS: Readonly<Record<string, string>> = { shots: "subsample", fraction: "subsample" };

/** Flags that a settings file cannot set: it would name itself. */
const COMMAND_LINE_ONLY = new Set(["--settings"]);

/** Flags that may be given more than once; their list in a file is one value each. */
const REPEATABLE = new Set(["--plugin"]);

function read(path: string): Record<string, unknown> {
  let value: unknown;
  try {
    // Whole numbers become bigint, which tells 1 (a shot) from 1.0 (all of the data).
    value = parse(readFileSync(path, "utf8"), { intAsBigInt: true });
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : null;
    const said = cause instanceof Error ? cause.message.split("\n")[0]! : String(cause);
    const got = code === "ENOENT" ? "no such file" : code === "EISDIR" ? "a folder" : said;
    throw new InputError({ where: `--settings ${path}`, got, expected: "a YAML file of flags and values" }, { cause });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  const got = Array.isArray(value) ? "a list" : value === null ? "an empty file" : String(value);
  throw new InputError({ where: `--settings ${path}`, got, expected: "flags and values", next: "for example `target: MNIST`" });
}

function numberText(value: number): string {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

/** A value as the command line would have it. */
function asText(value: unknown): string {
  if (Array.isArray(value)) return value.map(asText).join(",");
  if (typeof value === "number") return numberText(value);
  if (typeof value === "object" && value !== null) {
    return JSON.stringify(value, (_key, part: unknown) => (typeof part === "bigint" ? Number(part) : part));
  }
  return String(value);
}

function parsed(option: Option, texts: readonly string[], where: string): unknown {
  let value: unknown = option.defaultValue;
  for (const text of texts) {
    try {
      value = option.parseArg === undefined ? text : option.parseArg(text, value);
    } catch (cause) {
      if (cause instanceof InputError) {
        throw new InputError({ ...cause.facts, where: `${where} (${cause.facts.where})` }, { cause });
      }
      if (cause instanceof CommanderError) throw new InputError({ where, got: `"${text}"`, expected: cause.message }, { cause });
      throw cause;
    }
  }
  return value;
}

function valueOf(option: Option, key: string, value: unknown, where: string): unknown {
  const isSwitch = option.isBoolean() || option.negate;
  if (isSwitch !== (typeof value === "boolean")) {
    throw new InputError({
      where,
      got: asText(value),
      expected: isSwitch ? "true or false" : `a value, as ${option.flags} takes it`,
    });
  }
  if (isSwitch) return option.negate && key.startsWith("no-") ? !value : value;
  if (value === null) throw new InputError({ where, got: "no value", expected: `a value, as ${option.flags} takes it` });
  if (key === "fraction" && typeof value === "bigint") return parsed(option, [numberText(Number(value))], where);
  const isList = Array.isArray(value) && REPEATABLE.has(option.long ?? "");
  return parsed(option, isList ? (value as unknown[]).map(asText) : [asText(value)], where);
}

/**
 * Gives every flag that the command line does not set the value that the settings file has.
 * @throws InputError for a key that is no flag of the command, and for a value that its flag does not take.
 */
export function applySettings(command: Command, path: string): void {
  const options = command.options.filter(({ long }) => !COMMAND_LINE_ONLY.has(long ?? ""));
  const seen = new Map<string, string>();
  for (const [given, value] of Object.entries(read(path))) {
    const key = given.replaceAll("_", "-");
    const name = SYNONYMS[key] ?? key;
    const option = options.find((candidate) => candidate.long === `--${name}` || candidate.long === `--no-${name}`);
    if (option === undefined) {
      const own = options.map(({ long, negate }) => long?.slice(negate ? "--no-".length : "--".length));
      const known = [...own, ...Object.keys(SYNONYMS).filter((synonym) => own.includes(SYNONYMS[synonym]))].join(", ");
      throw new InputError({
        where: `--settings ${path}`,
        got: `the key "${given}"`,
        expected: `flags of atlas ${command.name()}: ${known}`,
      });
    }
    const attribute = option.attributeName();
    const before = seen.get(attribute);
    if (before !== undefined) {
      throw new InputError({
        where: `--settings ${path}`,
        got: `both "${before}" and "${given}"`,
        expected: "one of them: they set the same flag",
      });
    }
    seen.set(attribute, given);
    // The value is checked even where the command line goes first: a file that is wrong is wrong.
    const checked = valueOf(option, key, value, `--settings ${path}, "${given}"`);
    const source = command.getOptionValueSource(attribute);
    if (source === undefined || source === "default") command.setOptionValueWithSource(attribute, checked, "config");
  }
}
