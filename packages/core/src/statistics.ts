/** A mean and how far it can be trusted. */
export interface Estimate {
  readonly mean: number;
  /** Standard error of the mean; 0 for a single value. */
  readonly error: number;
  readonly count: number;
}

/** Mean and standard error over independent runs. */
export function estimate(values: readonly number[]): Estimate {
  const count = values.length;
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, error: count < 2 ? 0 : Math.sqrt(squares / (count - 1) / count), count };
}

/**
 * The difference of two accuracies, with the error of the runs and that of drawing the test images. The images are
 * taken as independent between the two, which overstates the error when both saw the same ones.
 */
export function accuracyGain(ours: Estimate, theirs: Estimate, testImages: number): Estimate {
  const sampling = (accuracy: number): number => (accuracy * (1 - accuracy)) / testImages;
  return {
    mean: ours.mean - theirs.mean,
    error: Math.sqrt(ours.error ** 2 + theirs.error ** 2 + sampling(ours.mean) + sampling(theirs.mean)),
    count: Math.min(ours.count, theirs.count),
  };
}
