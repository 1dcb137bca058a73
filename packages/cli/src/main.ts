#!/usr/bin/env node
import { enableProdMode } from "@tensorflow/tfjs-core";
import { EXIT } from "./failure.js";
import { runAtlas } from "./program.js";

let interruption: AbortController | null = null;

/**
 * The first signal of the system lets the step end and leaves the saved state; the second one ends at once. So does the
 * first one before a command has asked for this, and in one that never does: a file is written whole or not at all.
 */
function interruptionSignal(): AbortSignal {
  if (interruption !== null) return interruption.signal;
  const controller = (interruption = new AbortController());
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      controller.abort();
    });
  }
  return controller.signal;
}

// A reader that has seen enough, such as `head`, closes the pipe: no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(EXIT.done);
});

// tfjs otherwise greets people, and advises them, on their terminal.
enableProdMode();

process.exitCode = await runAtlas(process.argv.slice(2), {
  out: (text) => {
    process.stdout.write(`${text}\n`);
  },
  note: (text) => {
    process.stderr.write(`${text}\n`);
  },
  ...(process.stderr.isTTY ? { screen: process.stderr } : {}),
  get signal() {
    return interruptionSignal();
  },
});
