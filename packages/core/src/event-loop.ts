/** So long a loop may keep signals, timers and a page's drawing waiting, in milliseconds: shorter than people notice. */
const LONGEST_WAIT = 50;

/**
 * Gives the event loop its turns in a long loop whose awaits may never reach it: on tfjs's wasm and cpu backends a result is
 * there at once, so that without them no `AbortSignal` is ever set before the loop ends.
 * @returns what is to be awaited in every round; it waits for a turn when the last one is too long ago.
 */
export function eventLoopTurns(): () => Promise<void> {
  let last = performance.now();
  return async () => {
    if (performance.now() - last < LONGEST_WAIT) return;
    await new Promise<void>((resume) => setTimeout(resume, 0));
    last = performance.now();
  };
}
