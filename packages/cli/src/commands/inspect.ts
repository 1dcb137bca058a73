import { inspectFile } from "@atlas-tv/checkpoints";
import type { Command } from "commander";
import { addSharedFlags, type SharedFlags } from "../shared-flags.js";
import { table, type Terminal } from "../terminal.js";

/** `atlas inspect FILE`: what a file is and what is in it. */
export function addInspect(program: Command, terminal: Terminal): void {
  const command = program
    .command("inspect")
    .description("print a checkpoint's format, tensors and hash")
    .argument("<file>", "a checkpoint, or a file of a run folder");
  addSharedFlags(command).action(async (file: string, flags: SharedFlags) => {
    const found = await inspectFile(file);
    if (flags.json) {
      terminal.out(JSON.stringify(found, null, 2));
      return;
    }
    const total = found.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
    const tensors = found.tensors.length === 0 ? "no tensors" : `${found.tensors.length} tensors, ${total} bytes`;
    terminal.out(
      `${file}: ${found.format}${found.producer === null ? "" : `, by ${found.producer}`}\n${tensors}, sha256 ${found.sha256}`,
    );
    if (found.tensors.length > 0) {
      const rows = found.tensors.map(({ name, dtype, shape, bytes }) => [name, dtype, `[${shape.join(", ")}]`, String(bytes)]);
      terminal.out(`\n${table([["tensor", "type", "shape", "bytes"], ...rows])}`);
    }
    if (found.artefact !== undefined) terminal.out(`\n${JSON.stringify(found.artefact, null, 2)}`);
  });
}
