import { blockTitle } from "./block-title.js";
import { create } from "./page-elements.js";

/** A coefficient of this size has the full colour, unless a larger one is there. */
const FULL_COLOUR = 0.25;

/** A table of coefficients, a row a block and a column a task vector, coloured by value. */
export class HeatMap {
  readonly element: HTMLTableElement;
  /** By task vector, then block. */
  readonly #cells: readonly HTMLTableCellElement[][];

  constructor(tasks: readonly string[], readonly blocks: readonly string[]) {
    const titles = blocks.map(blockTitle);
    this.#cells = tasks.map((task) => blocks.map((block) => create("td", { title: `${task}, ${block}` })));
    const head = create("thead", {}, create("tr", {},
      create("th", { scope: "col", textContent: "Block" }),
      ...tasks.map((task) => create("th", { scope: "col", textContent: task }))));
    const bodies = [...new Set(titles.map(({ part }) => part))].map((part) => {
      const rows = titles.flatMap((title, block) => (title.part === part ? [this.#row(title.label, block)] : []));
      const heading = create("th", { scope: "rowgroup", colSpan: tasks.length + 1, textContent: part });
      return create("tbody", {}, create("tr", { className: "part" }, heading), ...rows);
    });
    this.element = create("table", {}, create("caption", { className: "visually-hidden", textContent: "Coefficients by block and task vector" }), head, ...bodies);
  }

  #row(label: string, block: number): HTMLTableRowElement {
    const heading = create("th", { scope: "row", textContent: label, title: this.blocks[block]! });
    return create("tr", {}, heading, ...this.#cells.map((column) => column[block]!));
  }

  /** @param coefficients λ, task vectors × blocks, row by row. */
  show(coefficients: Float32Array): void {
    const strongest = coefficients.reduce((most, value) => Math.max(most, Math.abs(value)), FULL_COLOUR);
    this.#cells.forEach((column, task) => {
      column.forEach((cell, block) => {
        const value = coefficients[task * this.blocks.length + block]!;
        // A true minus sign, and none before a zero.
        cell.textContent = value.toFixed(2).replace(/^-(?=.*[1-9])/, "−").replace("-", "");
        cell.className = value < 0 ? "negative" : "positive";
        cell.style.setProperty("--strength", `${((100 * Math.abs(value)) / strongest).toFixed(0)}%`);
      });
    });
  }
}
