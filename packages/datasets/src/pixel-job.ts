import type { EncodedImage, ErrorFacts, PixelImage, TransformRecipe } from "@atlas-tv/core";

/** What a pixel worker is sent. */
export interface PixelJob {
  readonly id: number;
  readonly images: readonly (PixelImage | EncodedImage)[];
  readonly recipe: TransformRecipe;
  /** Of the generator that the transform draws from. */
  readonly seed: string;
}

/** What it answers: pixels, the facts of an `InputError`, or the message of any other error. */
export type PixelAnswer =
  | { readonly id: number; readonly images: readonly PixelImage[] }
  | { readonly id: number; readonly facts: ErrorFacts }
  | { readonly id: number; readonly message: string };
