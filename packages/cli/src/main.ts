#!/usr/bin/env node
import { describeFailure, exitStatus } from "./failure.js";
import { createProgram } from "./program.js";
import { CommanderError } from "commander";

const interruption = new AbortController();
// The first signal lets the step end and leaves the saved state; the second one ends at once.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => { interruption.abort(); });
}

try {
  await createProgram({
    out: (text) => { process.stdout.write(`${text}\n`); },
    note: (text) => { process.stderr.write(text); },
    signal: interruption.signal,
  }).parseAsync();
} catch (error) {
  // Commander has printed its own message.
  if (!(error instanceof CommanderError)) process.stderr.write(`${describeFailure(error)}\n`);
  process.exitCode = exitStatus(error);
}
