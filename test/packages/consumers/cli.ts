import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { compositionRoot, runAtlas } from "@atlas-tv/cli";
import { registered } from "@atlas-tv/core";

assert.deepEqual(registered(await compositionRoot(), "backend").map(({ id }) => id), ["cpu"]);
const atlas = (...args: string[]) =>
  spawnSync(join("node_modules", ".bin", "atlas"), args, { encoding: "utf8", shell: process.platform === "win32" });
const { status, stdout, stderr } = atlas("doctor", "--json");
assert.equal(status, 0, stderr);
interface Report {
  backends: { id: string; usable: boolean; missing: string[] }[];
  missing: { kind: string; id: string; missing: string }[];
}
const { backends, missing } = JSON.parse(stdout) as Report;
assert.equal(backends[0]!.usable, true);

// The other backends are not installed here: how to get them is said.
for (const id of ["cuda", "webgpu"]) {
  assert.match(backends.find((backend) => backend.id === id)!.missing.join(), new RegExp(`npm install @atlas-tv/backend-${id}`));
}
const setUp = atlas("cuda-setup", "--cpu");
assert.equal(setUp.status, 2);
assert.match(setUp.stderr, /npm install --ignore-scripts @atlas-tv\/backend-cuda/);

// So is that of every other plug-in, by doctor and by the command that asks for it.
const ABSENT: [string[], string, string, string][] = [
  [["few-shots", "--adapter", "tip"], "adapter", "tip", "@atlas-tv/adapters-tip"],
  [["few-shots", "--adapter", "lpp"], "adapter", "lpp", "@atlas-tv/adapters-lpp"],
  [["few-shots", "--partition", "2"], "composition", "partition", "@atlas-tv/peft-partition"],
  [["ufm"], "unsupervised", "ufm", "@atlas-tv/objective-ufm"],
  [["few-shots", "--backend", "webgpu"], "backend", "webgpu", "@atlas-tv/backend-webgpu"],
  [["addition", "--backend", "cuda"], "backend", "cuda", "@atlas-tv/backend-cuda"],
];
for (const [args, kind, id, name] of ABSENT) {
  const notes: string[] = [];
  const terminal = { out: () => undefined, note: (text: string) => { notes.push(text); }, signal: new AbortController().signal };
  assert.equal(await runAtlas(args, terminal), 2, args.join(" "));
  assert.match(notes.join("\n"), new RegExp(`no ${kind} "${id}" is installed[^]*npm install ${name}$`));
}
assert.deepEqual(missing, [
  { kind: "adapter", id: "lpp", missing: "the package: npm install @atlas-tv/adapters-lpp" },
  { kind: "adapter", id: "tip", missing: "the package: npm install @atlas-tv/adapters-tip" },
  { kind: "unsupervised", id: "ufm", missing: "the package: npm install @atlas-tv/objective-ufm" },
  { kind: "composition", id: "partition", missing: "the package: npm install @atlas-tv/peft-partition" },
]);
