import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { compositionRoot } from "@atlas-tv/cli";
import { registered } from "@atlas-tv/core";

assert.deepEqual(registered(await compositionRoot(), "backend").map(({ id }) => id), ["cpu"]);
const { status, stdout, stderr } = spawnSync(join("node_modules", ".bin", "atlas"), ["doctor", "--json"], { encoding: "utf8", shell: process.platform === "win32" });
assert.equal(status, 0, stderr);
assert.equal((JSON.parse(stdout) as { backends: { usable: boolean }[] }).backends[0]!.usable, true);

const absent = spawnSync(join("node_modules", ".bin", "atlas"), ["few-shots", "--adapter", "tip"], { encoding: "utf8", shell: process.platform === "win32" });
assert.equal(absent.status, 2);
assert.match(absent.stderr, /no adapter "tip" is installed[^]*npm install @atlas-tv\/adapters-tip/);
