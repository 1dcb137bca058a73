/** The factor on the peak learning rate at a 0-based step of a run of `steps` steps. */
export type Schedule = (step: number, steps: number) => number;

/** The peak rate throughout. */
export const constantSchedule: Schedule = () => 1;

/** Linear warm-up over `warmup` steps, then half a cosine to 0 at step `steps` (which is never taken). */
export function cosineSchedule(warmup = 0): Schedule {
  return (step, steps) =>
    step < warmup ? (step + 1) / warmup : 0.5 * (1 + Math.cos((Math.PI * (step - warmup)) / (steps - warmup)));
}
