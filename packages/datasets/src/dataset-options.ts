import type { Augmentation } from "@atlas-tv/core";

/** What every data set lets its user replace. */
export interface DatasetOptions {
  /** Names for the classes, in label order. */
  readonly classNames?: readonly string[];
  /** Prompt templates with `{}` for the class name. */
  readonly templates?: readonly string[];
  readonly augmentation?: Augmentation;
}
