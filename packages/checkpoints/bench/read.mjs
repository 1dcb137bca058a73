/**
 * How fast checkpoints are read, and with how much memory: a synthetic ViT-B/32 in float32 in every format, against
 * reading its files from the first byte to the last into a buffer, with a warm page cache.
 *
 *     node bench/read.mjs [--model ViT-B-32] [--repeats 5] [--json FILE]
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { knownModel, visionSpec } from "@atlas-tv/clip";
import { writeEveryFormat } from "./synthetic-files.mjs";

/** What reading must stay within. */
const LIMITS = { firstMilliseconds: 300, ratio: 1.5, extraMib: 100 };

const { values: flags } = parseArgs({
  options: { model: { type: "string", default: "ViT-B-32" }, repeats: { type: "string", default: "5" }, json: { type: "string" } },
});

const PROGRAM = fileURLToPath(new URL("measure-file.mjs", import.meta.url));

/** The median of several runs by time, and the most that memory grew beyond what was read. */
function measure(what, ...paths) {
  const runs = Array.from({ length: Number(flags.repeats) }, () => JSON.parse(execFileSync(process.execPath, ["--expose-gc", PROGRAM, what, ...paths], { encoding: "utf8" })));
  const times = runs.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b);
  return { milliseconds: times[Math.floor(times.length / 2)], mib: runs[0].mib, extraMib: Math.max(...runs.map(({ growth, mib }) => growth - mib)) };
}

const filesOf = (path) => (statSync(path).isDirectory() ? readdirSync(path).filter((name) => name.endsWith(".safetensors")).map((name) => join(path, name)) : [path]);

const folder = mkdtempSync(join(tmpdir(), "atlas-bench-"));
try {
  const formats = await writeEveryFormat(folder, visionSpec(knownModel(flags.model)).blocks);
  const rows = Object.entries(formats).map(([format, path]) => {
    const sequential = measure("sequential", ...filesOf(path));
    const first = measure("first", path);
    const whole = measure("whole", path);
    return { format, mib: whole.mib, firstMilliseconds: first.milliseconds, wholeMilliseconds: whole.milliseconds, sequentialMilliseconds: sequential.milliseconds, ratio: whole.milliseconds / sequential.milliseconds, extraMib: Math.max(first.extraMib, whole.extraMib) };
  });
  console.table(Object.fromEntries(rows.map(({ format, ...row }) => [format, {
    MiB: Math.round(row.mib), "first tensor, ms": Math.round(row.firstMilliseconds), "whole, ms": Math.round(row.wholeMilliseconds),
    "sequential, ms": Math.round(row.sequentialMilliseconds), "whole / sequential": Number(row.ratio.toFixed(2)), "memory beyond tensors, MiB": Math.round(row.extraMib),
  }])));
  const over = rows.filter(({ firstMilliseconds, ratio, extraMib }) => firstMilliseconds > LIMITS.firstMilliseconds || ratio > LIMITS.ratio || extraMib > LIMITS.extraMib);
  const limits = `first tensor ${LIMITS.firstMilliseconds} ms, whole / sequential ${LIMITS.ratio}, memory beyond tensors ${LIMITS.extraMib} MiB`;
  console.log(over.length === 0 ? `All within the limits: ${limits}.` : `Over the limits (${limits}): ${over.map(({ format }) => format).join(", ")}.`);
  if (flags.json !== undefined) writeFileSync(flags.json, `${JSON.stringify(rows, null, 2)}\n`);
  if (over.length > 0) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
