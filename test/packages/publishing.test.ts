import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, relative, sep } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ROOT } from "../../scripts/toolchain.mjs";
import { command, ours, pnpm, publicPackages } from "./packed-packages.js";

/** What a release neither reads nor writes, relative to the root or by name anywhere. */
const LEFT_BEHIND = new Set(["node_modules", ".git", ".cache", "fixtures", "runs", "pictures", "weights"]);

let copy: string;

const git = (...args: string[]): Promise<string> =>
  command("git", ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false", ...args], copy);

beforeAll(async () => {
  copy = realpathSync(mkdtempSync(join(tmpdir(), "atlas release-")));
  cpSync(ROOT, copy, { recursive: true, filter: (path) => !LEFT_BEHIND.has(basename(path)) || relative(ROOT, path) === "" });
  symlinkSync(join(ROOT, "node_modules"), join(copy, "node_modules"), "junction");
  for (const { folder, manifest } of publicPackages(copy)) {
    const scope = join(folder, "node_modules", "@atlas-tv");
    mkdirSync(scope, { recursive: true });
    // As pnpm links them: it reads the version to publish from there.
    for (const name of ours({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.peerDependencies })) {
      symlinkSync(join(copy, "packages", name.split("/")[1]!), join(folder, "node_modules", name), "junction");
    }
  }
  // Changesets asks git for the commit that added each changeset.
  await git("init", "--quiet", "--initial-branch=main");
  await git("add", "--all", "--", ".", ":!**/node_modules");
  await git("commit", "--quiet", "--message", "copy");
});

afterAll(() => rmSync(copy, { recursive: true, force: true }));

function changesets(folder: string): string[] {
  return readdirSync(join(folder, ".changeset")).filter((name) => name.endsWith(".md") && name !== "README.md");
}

describe("a release, on a copy of the repository", () => {
  it("gives every public package the same version and a changelog", async () => {
    const before = publicPackages(copy);
    const pending = changesets(copy).length;
    const output = await command(process.execPath, [join(ROOT, "node_modules", "@changesets", "cli", "bin.js"), "version"], copy);
    expect(output).not.toMatch(/error|warn/i);
    const after = publicPackages(copy);
    expect(changesets(copy)).toEqual([]);
    expect(new Set(after.map(({ manifest }) => manifest.version)).size).toBe(1);
    for (const [index, { id, folder, manifest }] of after.entries()) {
      expect(manifest.version === before[index]!.manifest.version, id).toBe(pending === 0);
      expect(manifest.version.startsWith("0."), `${id} ${manifest.version}`).toBe(before[index]!.manifest.version.startsWith("0."));
      if (pending > 0) expect(existsSync(join(folder, "CHANGELOG.md")), id).toBe(true);
      for (const name of ours(manifest.peerDependencies)) expect(manifest.peerDependencies![name]).toBe("workspace:^");
    }
  });

  it("passes a publish dry run for every public package", async () => {
    for (const { folder, manifest } of publicPackages(copy)) {
      const output = await pnpm(["publish", "--dry-run", "--no-git-checks"], folder);
      expect(output).toContain(`+ ${manifest.name}@${manifest.version}`);
      expect(output.replaceAll(copy.split(sep).join("/"), "")).not.toMatch(/\bERR|npm error|\bWARN/);
    }
  });
});
