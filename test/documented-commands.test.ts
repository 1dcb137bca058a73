import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { describe, expect, it } from "vitest";
import { createProgram } from "../packages/cli/src/program.js";
import { ROOT } from "../scripts/toolchain.mjs";
import { shellCommands } from "./shell-fences.js";

const folders = ["packages", "examples"].flatMap((group) => readdirSync(join(ROOT, group)).map((name) => join(ROOT, group, name)));
const docs = readdirSync(join(ROOT, "docs")).map((name) => join(ROOT, "docs", name));
const pages = [join(ROOT, "README.md"), ...docs, ...folders.map((folder) => join(folder, "README.md"))]
  .filter((path) => path.endsWith(".md") && existsSync(path))
  .map((path) => relative(ROOT, path));

/** Ways to call the program that pages use. */
const PREFIXES = [["atlas"], ["npx", "atlas"], ["npm", "run", "-s", "atlas", "--"]];

/** What follows the program's name; null for other programs. */
function atlasArguments(words: readonly string[]): readonly string[] | null {
  const prefix = PREFIXES.find((own) => own.every((word, i) => words[i] === word));
  return prefix === undefined ? null : words.slice(prefix.length);
}

function atlasLines(page: string): string[][] {
  return shellCommands(readFileSync(join(ROOT, page), "utf8")).flatMap((words) => {
    const args = atlasArguments(words);
    return args === null ? [] : [[...args]];
  });
}

type Command = Awaited<ReturnType<typeof createProgram>>;

/** Has every command do nothing but say that it was reached. */
function silence(command: Command, reached: () => void): void {
  command.commands.forEach((child) => { silence(child, reached); });
  if (command.commands.length === 0) command.action(reached);
}

/** Parses a command line as the program does, and runs nothing. @returns what is wrong with it. */
async function parseFailure(args: readonly string[]): Promise<string | null> {
  const said: string[] = [];
  const terminal = { out: () => {}, note: (text: string) => { said.push(text); }, signal: new AbortController().signal };
  let reached = false;
  try {
    const program = await createProgram(terminal, args[0]);
    silence(program, () => { reached = true; });
    await program.parseAsync([...args], { from: "user" });
  } catch (error) {
    if ((error as { code?: string }).code === "commander.helpDisplayed") return null;
    return [String(error), ...said].join("\n");
  }
  return reached ? null : "no command was reached";
}

describe("the command lines of atlas that pages show", () => {
  it.each(pages)("%s: all have flags and values that the program takes", async (page) => {
    for (const args of atlasLines(page)) expect(await parseFailure(args), `atlas ${args.join(" ")}`).toBeNull();
  });

  it("are there for each of the paper's five experiments, in the examples and on the page of reproduction", () => {
    const experiments: Readonly<Record<string, RegExp>> = {
      negation: /^negation /,
      addition: /^addition /,
      "few-shots": /^few-shots .*--adapter tip/,
      "test-time-adaptation": /^ufm /,
      "parameter-efficient-fine-tuning": /^few-shots .*--partition \d+/,
    };
    const lines = (page: string): string[] => atlasLines(page).map((args) => args.join(" "));
    for (const [example, line] of Object.entries(experiments)) {
      expect(lines(join("examples", example, "README.md")), example).toContainEqual(expect.stringMatching(line));
      expect(lines(join("docs", "reproduction.md")), example).toContainEqual(expect.stringMatching(line));
    }
  });

  it("are told apart from such that the program does not take", async () => {
    expect(await parseFailure(["negation", "--tagret", "MNIST"])).toContain("unknown option '--tagret'");
    expect(await parseFailure(["few-shots", "--subsample", "1.5"])).toContain("--subsample");
    expect(await parseFailure(["forget"])).toContain("unknown command");
  });
});

describe("the examples that pages name", () => {
  const NAMED = /\bnpm run (?:-s )?example -- (?<name>[a-z-]+)/g;

  it.each(pages)("%s: all have a program", (page) => {
    const names = [...readFileSync(join(ROOT, page), "utf8").matchAll(NAMED)].map(({ groups }) => groups!["name"]!);
    for (const name of names) expect(existsSync(join(ROOT, "examples", name, "src", "main.ts")), name).toBe(true);
  });
});
