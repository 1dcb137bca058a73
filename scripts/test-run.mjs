import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { runChild } from "./child.mjs";
import { CACHE, ROOT, SetupError } from "./toolchain.mjs";

/** The fixture folder that the caller named, relative to the folder the caller is in. */
function fixtureEnvironment(callerFolder) {
  const named = process.env.ATLAS_FIXTURES;
  if (named === undefined || named === "") return {};
  const folder = isAbsolute(named) ? named : resolve(callerFolder, named);
  if (!existsSync(join(folder, "tolerances.json"))) {
    throw new SetupError(`ATLAS_FIXTURES\n  got: ${folder}, which holds no tolerances.json\n  expected: a folder of fixtures, built like fixtures/`);
  }
  return { ATLAS_FIXTURES: folder };
}

/**
 * Runs vitest and ends its output with one line, `N passed, N failed`, and `, N skipped` where some were.
 * @returns the exit status
 */
export async function runTests(args, callerFolder) {
  const env = fixtureEnvironment(callerFolder);
  mkdirSync(CACHE, { recursive: true });
  const countsFile = join(CACHE, `test-counts-${process.pid}.json`);
  const vitest = join(ROOT, "node_modules", "vitest", "vitest.mjs");
  const reporters = ["--reporter=default", `--reporter=${join(ROOT, "scripts", "count-reporter.mjs")}`];
  const status = await runChild(process.execPath, [vitest, "run", ...reporters, ...args], { cwd: ROOT, env: { ...env, ATLAS_TEST_COUNTS: countsFile } });
  const counts = existsSync(countsFile) ? JSON.parse(readFileSync(countsFile, "utf8")) : { passed: 0, failed: 1, skipped: [] };
  rmSync(countsFile, { force: true });

  const { passed, failed, skipped } = counts;
  for (const { file, name, reason } of skipped) console.log(`skipped: ${file} > ${name}\n  ${reason}`);
  console.log(`${passed} passed, ${failed} failed${skipped.length === 0 ? "" : `, ${skipped.length} skipped`}`);
  return status !== 0 || failed > 0 ? 1 : 0;
}
