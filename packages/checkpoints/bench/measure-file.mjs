/**
 * `node --expose-gc measure-file.mjs first|whole|sequential PATH…`: one measurement in a process of its own, so that its
 * memory is its own; prints JSON.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { openCheckpoint } from "@atlas-tv/checkpoints";

const MIB = 1024 * 1024;
const [what, ...paths] = process.argv.slice(2);

globalThis.gc();
const before = process.memoryUsage().rss / MIB;
const start = performance.now();
let bytes = 0;

if (what === "sequential") {
  for (const path of paths) {
    const { size } = statSync(path);
    const buffer = Buffer.allocUnsafeSlow(size);
    const handle = openSync(path, "r");
    for (let at = 0; at < size;) at += readSync(handle, buffer, at, size - at, at);
    closeSync(handle);
    bytes += size;
  }
} else {
  const file = await openCheckpoint(paths[0]);
  const kept = [];
  for (const tensor of file.tensors.values()) {
    kept.push(await tensor.bytes());
    if (what === "first") break;
  }
  bytes = kept.reduce((sum, { byteLength }) => sum + byteLength, 0);
  await file.close();
}

const milliseconds = performance.now() - start;
console.log(JSON.stringify({ milliseconds, mib: bytes / MIB, growth: process.resourceUsage().maxRSS / 1024 - before }));
