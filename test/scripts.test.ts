import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { withLock } from "../scripts/setup-lock.mjs";
import { CACHE, ROOT } from "../scripts/toolchain.mjs";

let folder: string;

beforeEach(() => {
  mkdirSync(CACHE, { recursive: true });
  folder = realpathSync(mkdtempSync(join(CACHE, "scripts test-")));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Variables by which vitest and npm would reach into the commands under test. */
const INHERITED = /^(VITEST|NODE_ENV$|npm_|INIT_CWD$|ATLAS_)/;

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): { status: number | null; stdout: string; stderr: string } {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !INHERITED.test(name)));
  return spawnSync(process.execPath, args, { cwd: folder, env: { ...clean, ...env }, encoding: "utf8" });
}

const script = join(ROOT, "scripts", "run.mjs");

/** What `npm test` does once the checkout is set up, in a project of its own; its outcome and the last line it prints. */
function runTests(env: Readonly<Record<string, string>> = {}): { status: number | null; stdout: string; stderr: string; last: string } {
  const url = pathToFileURL(join(ROOT, "scripts", "test-run.mjs")).href;
  const code = `import { runTests } from "${url}"; process.exitCode = await runTests(["--root", process.cwd(), "--config", "vitest.config.js"], process.cwd());`;
  writeFileSync(join(folder, "vitest.config.js"), "export default {};");
  const result = run(["--input-type=module", "--eval", code], env);
  return { ...result, last: result.stdout.trimEnd().split("\n").at(-1)! };
}

describe("the command runner", () => {
  it("names its commands when it does not know one, and prints nothing on standard output", () => {
    const { status, stdout, stderr } = run([script, "demoo"]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain("got: demoo");
    expect(stderr).toContain("test:fixtures");
  });

  it("names the examples when it does not know one", () => {
    const { status, stdout, stderr } = run([script, "example", "negatoin"]);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toContain("got: negatoin");
    expect(stderr).toMatch(/one of addition, .*negation/);
  });

  it.each([
    [["example", "negation", "--quik"], "examples/negation/README.md"],
    [["demo", "--help"], "examples/few-shots/README.md"],
  ])("says without a stack that %j has no such flag, and where flags stand", (args, page) => {
    const { status, stdout, stderr } = run([script, ...args]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain(`got: Unknown option '${args.at(-1)!}'`);
    expect(stderr).toContain(page);
    expect(stderr).not.toContain("    at ");
  });

  it("refuses numbers that are none before the demo starts", () => {
    const { status, stdout, stderr } = run([script, "demo", "--shots", "four"]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toContain('got: "four"');
  });

  it("says in one sentence that Node is too old", () => {
    const old = join(folder, "old.mjs");
    writeFileSync(old, 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "18.20.0" } });');
    const { status, stderr } = run(["--import", `file://${old}`.replaceAll(" ", "%20"), script, "build"]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^This is Node 18\.20\.0 .* is needed\.\n$/);
  });

});

describe("the test command", () => {
  const tests = `
    import { beforeAll, describe, expect, it } from "vitest";
    it("passes", () => expect(1).toBe(1));
    it("fails", () => expect(1).toBe(2));
    it("is skipped", ({ skip }) => skip("no such device"));
    describe("behind a broken hook", () => {
      beforeAll(() => { throw new Error("broken"); });
      it("cannot run", () => expect(1).toBe(1));
    });`;

  it("ends with the counts, failures outside tests among them, and tells why tests were skipped", () => {
    writeFileSync(join(folder, "a.test.ts"), tests);
    writeFileSync(join(folder, "b.test.ts"), 'throw new Error("does not load");');
    const { status, stdout, last } = runTests();
    expect({ status, last }).toEqual({ status: 1, last: "1 passed, 3 failed, 2 skipped" });
    expect(stdout).toContain("a.test.ts > is skipped\n  no such device\n");
  });

  it("succeeds when all pass", () => {
    writeFileSync(join(folder, "a.test.ts"), 'import { expect, it } from "vitest"; it("passes", () => expect(1).toBe(1));');
    const { status, last } = runTests();
    expect({ status, last }).toEqual({ status: 0, last: "1 passed, 0 failed" });
  });

  it("refuses a fixture folder that is none, naming it from the caller's folder", () => {
    const { status, stderr } = runTests({ ATLAS_FIXTURES: "nowhere" });
    expect(status).toBe(1);
    expect(stderr).toContain(join(folder, "nowhere"));
  });

  it("fails when there is no test", () => {
    const { status, last } = runTests();
    expect({ status, last }).toEqual({ status: 1, last: "0 passed, 0 failed" });
  });
});

describe("the set-up lock", () => {
  it("lets one process in at a time", async () => {
    const log = join(folder, "log");
    const lock = join(folder, "lock");
    writeFileSync(log, "");
    const work = (name: string) => async (): Promise<void> => {
      writeFileSync(log, `${name} in\n`, { flag: "a" });
      await new Promise((resolve) => setTimeout(resolve, 50));
      writeFileSync(log, `${name} out\n`, { flag: "a" });
    };
    await Promise.all(["a", "b", "c"].map((name) => withLock(lock, work(name))));
    const lines = readFileSync(log, "utf8").trim().split("\n");
    for (let i = 0; i < lines.length; i += 2) expect(lines[i + 1]).toBe(lines[i]!.replace("in", "out"));
    expect(lines).toHaveLength(6);
    expect(existsSync(lock)).toBe(false);
  });

  it.each([
    ["whose process is gone", () => String(spawnSync(process.execPath, ["-e", ""]).pid), 0],
    ["that has been silent for a minute", () => String(process.pid), 60],
  ])("does not wait for a holder %s", async (_what, pid, silentSeconds) => {
    const lock = join(folder, "lock");
    writeFileSync(lock, pid());
    const then = Date.now() / 1000 - silentSeconds;
    utimesSync(lock, then, then);
    expect(await withLock(lock, () => Promise.resolve("done"))).toBe("done");
  });
});
