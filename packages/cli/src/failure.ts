import { AbortedError, InputError, NonFiniteLossError } from "@atlas-tv/core";
import { CommanderError } from "commander";

/** Exit statuses of `atlas`. */
export const EXIT = { done: 0, failure: 1, input: 2, interrupted: 130 } as const;

/** The exit status an error ends the command with. */
export function exitStatus(error: unknown): number {
  if (error instanceof InputError) return EXIT.input;
  if (error instanceof AbortedError) return EXIT.interrupted;
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.input;
  return EXIT.failure;
}

/** What people read on stderr. Only a defect of ours shows a stack. */
export function describeFailure(error: unknown): string {
  if (error instanceof InputError) return `atlas: ${error.message}`;
  if (error instanceof AbortedError) return `atlas: ${error.message}; go on with --resume`;
  if (error instanceof NonFiniteLossError) return `atlas: ${error.message}`;
  if (error instanceof Error) return `atlas: ${error.stack ?? error.message}`;
  return `atlas: ${String(error)}`;
}
