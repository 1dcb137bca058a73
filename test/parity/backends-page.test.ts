import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parityTable } from "../../scripts/parity.mjs";
import { ROOT } from "../../scripts/toolchain.mjs";

/** Rows of the last table of a Markdown text, split into cells. */
function rowsOf(text: string): string[][] {
  return text.split("\n").filter((line) => line.startsWith("| ")).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

const CELL = /^(?:0|\d\.\de[+-]\d+) \(([\d.e-]+) %\)$/;

describe("the table of deviations", () => {
  const records = [
    { backend: "webgpu", device: "a card" },
    { test: "composition on cpu > isotropic", what: "features", error: 2e-6, limit: 1e-5 },
    { test: "composition on cpu > isotropic", what: "loss", error: 3e-6, limit: 6e-6 },
    { test: "composition on webgpu > isotropic", what: "features", error: 0, limit: 1e-4 },
    { test: "schedules > cosine", what: "rate", error: 1, limit: 2 },
  ];

  it("has a row for each case, with its largest deviation and the largest part of a tolerance", () => {
    const rows = rowsOf(parityTable(records));
    expect(rows.map(([name]) => name)).toEqual(["case", "---", "composition: isotropic"]);
    expect(rows[2]).toEqual(["composition: isotropic", "–", "–", "3.0e-6 (50 %)", "0 (0.0 %)", "–", "–"]);
  });

  it("says what was not run, and on what the rest was", () => {
    const table = parityTable(records);
    expect(table).toContain("Not run: plain tfjs, cpu; plain tfjs, wasm; webgpu, Chromium; cuda.");
    expect(table).toContain("webgpu, Node: a card.");
  });

  it("on the page has every case on every backend, within all tolerances", () => {
    const page = readFileSync(join(ROOT, "docs", "backends.md"), "utf8");
    const [head, , ...rows] = rowsOf(page.slice(page.indexOf("## Deviations")));
    expect(head).toHaveLength(7);
    expect(rows.length).toBeGreaterThan(0);
    for (const [name, ...cells] of rows) {
      expect(cells, name).toHaveLength(6);
      for (const text of cells) {
        expect(text, name).toMatch(CELL);
        expect(Number(CELL.exec(text)![1]), `${name!}: ${text}`).toBeLessThanOrEqual(100);
      }
    }
    for (const part of ["the image encoder", "the ResNet", "the text encoder", "the zero-shot head", "composition", "training", "Tip-Adapter", "LP++", "the loss of UFM"]) {
      expect(rows.some(([name]) => name!.startsWith(`${part}:`)), part).toBe(true);
    }
  });
});
