/** The four things a reader of an error needs. */
export interface ErrorFacts {
  /** The function, file, flag or field at fault. */
  where: string;
  /** What was found there. */
  got: string;
  /** What would have been right. */
  expected: string;
  /** What to do next. */
  next?: string;
}

/**
 * An error whose cause lies in what the caller handed in: a file, a flag, a shape.
 * The command line ends with status 2 on it. Anything else is a failure (status 1).
 */
export class InputError extends Error {
  override readonly name = "InputError";
  readonly facts: ErrorFacts;

  constructor(facts: ErrorFacts, options?: ErrorOptions) {
    const next = facts.next === undefined ? "" : `\n  next: ${facts.next}`;
    super(`${facts.where}\n  got: ${facts.got}\n  expected: ${facts.expected}${next}`, options);
    this.facts = facts;
  }
}

/** Learning diverged: a loss, a gradient or features became NaN or infinite. */
export class NonFiniteError extends Error {
  override readonly name: string = "NonFiniteError";
}

/** Thrown when an `AbortSignal` stops a run; what was finished has been saved. */
export class AbortedError extends Error {
  override readonly name = "AbortedError";
}
