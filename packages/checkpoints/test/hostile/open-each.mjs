/**
 * `node --expose-gc open-each.mjs FILE…`: opens each file with the built package, reads all its tensors, and prints a line of JSON:
 * what was thrown, how long the processor took (other programs lengthen that less than what a clock shows), and by how much
 * memory grew at the most, with what one file left behind cleared away before the next.
 */
import { openCheckpoint } from "@atlas-tv/checkpoints";

const MIB = 1024 * 1024;
const resident = () => process.resourceUsage().maxRSS / 1024;

const before = process.memoryUsage().rss / MIB;
const files = [];
for (const path of process.argv.slice(2)) {
  globalThis.gc();
  const start = process.cpuUsage();
  let error = null;
  try {
    const file = await openCheckpoint(path);
    try {
      for (const tensor of file.tensors.values()) await tensor.bytes();
    } finally {
      await file.close();
    }
  } catch (thrown) {
    error = { name: thrown.constructor.name, fault: thrown.fault ?? "", typed: thrown.name === "InputError" };
  }
  const { user, system } = process.cpuUsage(start);
  files.push({ error, cpuSeconds: (user + system) / 1e6 });
}
console.log(JSON.stringify({ files, growth: resident() - before }));
