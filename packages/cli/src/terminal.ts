/** Where a command writes, and what can stop it. */
export interface Terminal {
  /** Results, a line each. With `--json` one document and nothing else. */
  out(text: string): void;
  /** Progress and remarks, a line each. */
  note(text: string): void;
  /** Where a bar can be drawn: stderr when people watch it. */
  readonly screen?: NodeJS.WriteStream;
  readonly signal: AbortSignal;
}

/** A table with a head row, columns padded to their widest cell; numbers to the right. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
      .join("  ")
      .trimEnd();
  const [head, ...body] = rows;
  return [line(head!), widths.map((width) => "-".repeat(width)).join("  "), ...body.map(line)].join("\n");
}

/** What was remarked, each once, and how to remark more. */
export type RunRemarks = Pick<Remarks, "all" | "add">;

/** Remarks on the way: on stderr at once, or, for `--json`, kept for the document. */
export class Remarks {
  readonly all: string[] = [];
  /** Those of no single run. */
  private readonly general: string[] = [];

  constructor(
    private readonly terminal: Terminal,
    private readonly silent: boolean,
  ) {}

  readonly add = (text: string): void => {
    if (!this.general.includes(text)) this.general.push(text);
    this.say(text);
  };

  /** The remarks of one of several runs: the general ones, and its own, which are no other run's. */
  ofRun(): RunRemarks {
    const all = [...this.general];
    const add = (text: string): void => {
      if (!all.includes(text)) all.push(text);
      this.say(text);
    };
    return { all, add };
  }

  /** Several runs find the same: it is said once. */
  private say(text: string): void {
    if (this.all.includes(text)) return;
    this.all.push(text);
    if (!this.silent) this.terminal.note(`note: ${text}`);
  }
}
