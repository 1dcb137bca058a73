import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";

const SCRIPT = 'import { CpuBackend } from "./dist/index.js"; const backend = new CpuBackend(); await backend.activate(); await backend.measure();';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "atlas home-"));
});
afterEach(() => {
  rmSync(home, { recursive: true, force: true });
});

/** Computes in a process of its own, and tells what that left in the user's home. */
async function leftInHome(): Promise<string[]> {
  // onnxruntime sends nothing from continuous integration.
  const { CI: _ci, ORT_DISABLE_TELEMETRY: _disabled, XDG_CACHE_HOME: _cache, ...env } = process.env;
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", SCRIPT], { cwd, env: { ...env, HOME: home } });
  return readdirSync(home, { recursive: true, encoding: "utf8" });
}

it("onnxruntime sends no reports: nothing is left in the user's home", async () => {
  expect(await leftInHome()).toEqual([]);
});
