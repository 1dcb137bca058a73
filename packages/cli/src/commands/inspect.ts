import { inspectFile } from "@atlas-tv/checkpoints";
import type { Command } from "commander";
import { table, type Terminal } from "../terminal.js";

/** `atlas inspect FILE`: what a file is and what is in it. */
export function addInspect(program: Command, terminal: Terminal): void {
  program
    .command("inspect")
    .description("print a checkpoint's format, tensors and hash")
    .argument("<file>", "a checkpoint or one of our own artefacts")
    .option("--json", "print one JSON document and nothing else", false)
    .action(async (file: string, flags: { json: boolean }) => {
      const found = await inspectFile(file);
      if (flags.json) {
        terminal.out(JSON.stringify(found, null, 2));
        return;
      }
      const total = found.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
      terminal.out(`${file}: ${found.format}${found.producer === null ? "" : `, by ${found.producer}`}\n${found.tensors.length} tensors, ${total} bytes, sha256 ${found.sha256}\n`);
      terminal.out(table([["tensor", "type", "shape", "bytes"], ...found.tensors.map(({ name, dtype, shape, bytes }) => [name, dtype, `[${shape.join(", ")}]`, String(bytes)])]));
      if (found.artefact !== undefined) terminal.out(`\n${JSON.stringify(found.artefact, null, 2)}`);
    });
}
