import { AbortedError, InputError, NonFiniteError } from "@atlas-tv/core";
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

/** What to do about an error that does not say so itself: it lies in what was given. */
const CORRECT_IT = "give what is expected, and run the command again; atlas <command> --help describes the flags";

/** What people read on stderr: where, got, expected and next for bad input. Only a defect shows a stack. */
export function describeFailure(error: unknown): string {
  if (error instanceof InputError) {
    return `atlas: ${error.message}${error.facts.next === undefined ? `\n  next: ${CORRECT_IT}` : ""}`;
  }
  if (error instanceof AbortedError || error instanceof NonFiniteError) return `atlas: ${error.message}`;
  return `atlas: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
