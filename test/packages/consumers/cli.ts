import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { compositionRoot } from "@atlas-tv/cli";
import { registered } from "@atlas-tv/core";

assert.deepEqual(registered(await compositionRoot(), "backend").map(({ id }) => id), ["cpu"]);
const atlas = (...args: string[]) =>
  spawnSync(join("node_modules", ".bin", "atlas"), args, { encoding: "utf8", shell: process.platform === "win32" });
const { status, stdout, stderr } = atlas("doctor", "--json");
assert.equal(status, 0, stderr);
const { backends } = JSON.parse(stdout) as { backends: { id: string; usable: boolean; missing: string[] }[] };
assert.equal(backends[0]!.usable, true);

// The other backends are not installed here: how to get them is said.
for (const id of ["cuda", "webgpu"]) {
  assert.match(backends.find((backend) => backend.id === id)!.missing.join(), new RegExp(`npm install @atlas-tv/backend-${id}`));
}
const setUp = atlas("cuda-setup", "--cpu");
assert.equal(setUp.status, 2);
assert.match(setUp.stderr, /npm install --ignore-scripts @atlas-tv\/backend-cuda/);

const absent = atlas("few-shots", "--adapter", "tip");
assert.equal(absent.status, 2);
assert.match(absent.stderr, /no adapter "tip" is installed[^]*npm install @atlas-tv\/adapters-tip/);
