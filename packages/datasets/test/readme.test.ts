import { readFileSync } from "node:fs";
import { expect, it, vi } from "vitest";
import * as core from "@atlas-tv/core";
import * as datasets from "../src/node.js";

/** The first JavaScript block of the README as an async function of the two modules it imports from. */
function readmeExample(): (core: object, datasets: object) => Promise<void> {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const code = /```js\n([\s\S]*?)```/.exec(readme)![1]!;
  const body = code
    .replace(/import (\{[^}]*\}) from "@atlas-tv\/core";/, "const $1 = core;")
    .replace(/import (\{[^}]*\}) from "@atlas-tv\/datasets";/, "const $1 = datasets;");
  return new Function("core", "datasets", `return (async () => {${body}})();`) as ReturnType<typeof readmeExample>;
}

it("the README's example runs and shows ten batches or more, and the whole test set", async () => {
  const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
  try {
    await readmeExample()(core, datasets);
    const training = log.mock.calls.filter((call) => call.length === 2);
    const shapes = log.mock.calls.filter((call) => call.length === 1).map(([shape]) => shape as number[]);
    expect(training.length).toBeGreaterThanOrEqual(10);
    expect(training[0]).toEqual([[64, 32, 32, 3], 64]);
    expect(shapes.reduce((sum, [batch]) => sum + batch!, 0)).toBe(10_000);
  } finally {
    log.mockRestore();
  }
});
