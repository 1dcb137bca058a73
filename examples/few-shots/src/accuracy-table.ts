import { estimate, type Estimate } from "@atlas-tv/core";

/** Accuracies by method and k, one per seed. */
export class AccuracyTable {
  readonly #cells = new Map<string, Map<number, number[]>>();

  constructor(readonly shots: readonly number[]) {}

  add(method: string, k: number, accuracy: number): void {
    const row = this.#cells.get(method) ?? new Map<number, number[]>();
    this.#cells.set(method, row.set(k, [...(row.get(k) ?? []), accuracy]));
  }

  /** The same value for every k: a method that uses no shots. */
  addConstant(method: string, accuracy: number): void {
    for (const k of this.shots) this.add(method, k, accuracy);
  }

  at(method: string, k: number): Estimate {
    return estimate(this.#cells.get(method)?.get(k) ?? []);
  }

  /** Plain text, one row a method, one column a k: mean and, over several seeds, standard error, in percent. */
  toString(): string {
    const width = Math.max(...[...this.#cells.keys()].map((name) => name.length));
    const cell = ({ mean, error, count }: Estimate): string =>
      `${(100 * mean).toFixed(1)}${count > 1 ? ` ± ${(100 * error).toFixed(1)}` : ""}`.padStart(13);
    const head = "".padEnd(width) + this.shots.map((k) => `k = ${k}`.padStart(13)).join("");
    const rows = [...this.#cells.keys()].map((name) => name.padEnd(width) + this.shots.map((k) => cell(this.at(name, k))).join(""));
    return [head, "-".repeat(head.length), ...rows].join("\n");
  }
}
