import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as core from "@atlas-tv/core";
import * as clip from "@atlas-tv/clip";
import { expect, it } from "vitest";
import * as own from "../src/index.js";

const PACKAGES: Readonly<Record<string, unknown>> = { "@atlas-tv/core": core, "@atlas-tv/clip": clip, "@atlas-tv/backend-cpu": own };

it("the README's example runs and prints what it says", async () => {
  const text = readFileSync(fileURLToPath(new URL("../README.md", import.meta.url)), "utf8");
  const example = /```js\n([\s\S]*?)```/.exec(text)![1]!;
  const body = example.replace(/import (\{[^}]*\}) from "([^"]+)";/g, 'const $1 = packages["$2"];');
  const printed: unknown[] = [];
  const run = new Function("packages", "console", `return (async () => { ${body} })();`) as (...args: unknown[]) => Promise<void>;
  await run(PACKAGES, { log: (value: unknown) => printed.push(value) });
  expect(printed).toEqual([JSON.parse(/console\.log\(.*\/\/ (.*)/.exec(example)![1]!)]);
});
