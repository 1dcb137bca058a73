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

/** Remarks on the way: on stderr at once, or, for `--json`, kept for the document. */
export class Remarks {
  readonly all: string[] = [];

  constructor(
    private readonly terminal: Terminal,
    private readonly silent: boolean,
  ) {}

  /** Several seeds find the same: it is said once. */
  readonly add = (text: string): void => {
    if (this.all.includes(text)) return;
    this.all.push(text);
    if (!this.silent) this.terminal.note(`note: ${text}`);
  };
}
