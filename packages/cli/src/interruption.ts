import { AbortedError } from "@atlas-tv/core";

/** Batches until the signal comes; then the pass ends with an error. */
export function stoppable<T>(batches: Iterable<T> | AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  return {
    async *[Symbol.asyncIterator]() {
      for await (const batch of batches) {
        if (signal.aborted) throw new AbortedError("stopped while accuracy was measured");
        yield batch;
      }
    },
  };
}

/** Work whose state is saved: a signal that stops it says how to go on. */
export async function resumable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AbortedError)) throw error;
    throw new AbortedError(`${error.message}. The same command with --resume goes on from there.`, { cause: error });
  }
}
