import { expect, test } from "vitest";
import { createProgram } from "../src/index.js";

const terminal = { out: () => {}, note: () => {}, signal: new AbortController().signal };
const namesOf = async (name?: string): Promise<string[]> => (await createProgram(terminal, name)).commands.map((command) => command.name());

test("a command is loaded without the others, under its own name", async () => {
  const all = await namesOf();
  expect(all.length).toBeGreaterThan(10);
  for (const name of all) expect(await namesOf(name)).toEqual([name]);
  expect(await namesOf("no such command")).toEqual(all);
  expect(await namesOf("toString")).toEqual(all);
});
