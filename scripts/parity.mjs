/** The table of deviations from the golden numbers: backend × case, from what the numeric tests measured. */
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { runTests } from "./test-run.mjs";
import { CACHE, ROOT, say, SetupError } from "./toolchain.mjs";

const PAGE = join(ROOT, "docs", "backends.md");
const BEGIN = "<!-- The table is written by `npm run parity`. -->";
const END = "<!-- End of the table. -->";

/** Backends in the order of columns. */
const COLUMNS = [
  { id: "tfjs-cpu", title: "plain tfjs, cpu" },
  { id: "tfjs-wasm", title: "plain tfjs, wasm" },
  { id: "cpu", title: "cpu" },
  { id: "webgpu", title: "webgpu, Node" },
  { id: "webgpu-chromium", title: "webgpu, Chromium" },
  { id: "cuda", title: "cuda" },
];

const NOT_RUN = "–";

/** `composition on webgpu > isotropic gives …` → its backend, and the name of the case on every backend. */
function caseOf(test) {
  const found = /^(.*?) on ([a-z0-9-]+)(?: > (.*))?$/.exec(test);
  if (found === null || !COLUMNS.some(({ id }) => id === found[2])) return null;
  return { backend: found[2], name: found[3] === undefined ? found[1] : `${found[1]}: ${found[3]}` };
}

/** Of one case on one backend: the largest deviation, and the largest part of its tolerance that one took. */
function worst(deviations) {
  const parts = deviations.map(({ error, limit }) => (limit > 0 ? error / limit : error === 0 ? 0 : Infinity));
  return { error: Math.max(...deviations.map(({ error }) => error)), part: Math.max(...parts) };
}

function cell(deviations) {
  if (deviations === undefined) return NOT_RUN;
  const { error, part } = worst(deviations);
  return `${error === 0 ? "0" : error.toExponential(1)} (${(100 * part).toPrecision(2)} %)`;
}

/** Markdown of what was measured. */
export function parityTable(records) {
  const cases = new Map();
  for (const { test, error, limit } of records) {
    const at = test === undefined ? null : caseOf(test);
    if (at === null || typeof error !== "number") continue;
    const row = cases.get(at.name) ?? cases.set(at.name, new Map()).get(at.name);
    row.set(at.backend, [...(row.get(at.backend) ?? []), { error, limit }]);
  }
  const devices = new Map(records.filter(({ device }) => device !== undefined).map(({ backend, device }) => [backend, device]));
  const present = COLUMNS.filter(({ id }) => [...cases.values()].some((row) => row.has(id)));
  const absent = COLUMNS.filter((column) => !present.includes(column));
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [
    `Node ${process.versions.node}, ${process.platform} ${process.arch}.`,
    ...present.filter(({ id }) => devices.has(id)).map(({ id, title }) => `${title}: ${devices.get(id)}.`),
    absent.length === 0 ? "Every backend was run." : `Not run: ${absent.map(({ title }) => title).join("; ")}.`,
    "",
    line(["case", ...COLUMNS.map(({ title }) => title)]),
    line(["---", ...COLUMNS.map(() => "---")]),
    ...[...cases].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, row]) => line([name, ...COLUMNS.map(({ id }) => cell(row.get(id)))])),
  ].join("\n");
}

/** Files of numeric tests that run on several backends: they define suites, or run them in a browser. */
export function suiteFiles() {
  return ["packages", "test"].flatMap((group) => {
    const files = readdirSync(join(ROOT, group), { recursive: true, withFileTypes: true });
    return files.filter((file) => file.name.endsWith(".fixtures.test.ts") && !file.parentPath.includes("node_modules"));
  }).map((file) => join(file.parentPath, file.name)).filter((path) => /Suite\b|suites-in-browser/.test(readFileSync(path, "utf8"))).map((path) => relative(ROOT, path));
}

/** Runs the numeric tests on every backend that is present, prints the table and writes it into docs/backends.md. */
export async function parity(args, callerFolder) {
  const file = join(CACHE, `deviations-${process.pid}.jsonl`);
  process.env.ATLAS_DEVIATIONS = file;
  try {
    const status = await runTests(args.length > 0 ? args : suiteFiles(), callerFolder);
    if (!existsSync(file)) throw new SetupError("The numeric tests measured nothing; what they printed stands above.");
    const table = parityTable(readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line)));
    console.log(`\n${table}\n`);
    if (status !== 0) return status;
    const page = readFileSync(PAGE, "utf8");
    const [before, rest] = page.split(BEGIN);
    writeFileSync(PAGE, `${before}${BEGIN}\n\n${table}\n\n${END}${rest.split(END)[1]}`);
    say(`Written into ${PAGE}.`);
    return 0;
  } finally {
    rmSync(file, { force: true });
  }
}
