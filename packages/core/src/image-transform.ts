import { flipHorizontally, randomAffine, randomResizedCrop, type AffineOptions, type CropOptions } from "./augmentation.js";
import type { Augmentation, PixelImage } from "./image-source.js";
import { pixelImage, toRgb, type Normalisation } from "./pixels.js";
import type { Random } from "./random.js";
import { centreCrop, resizeShorterSide } from "./resample.js";

/** A transform as data: enough to make it anew in another thread. */
export type TransformRecipe =
  | { readonly kind: "validation"; readonly size: number; readonly normalisation: Normalisation }
  | { readonly kind: "training"; readonly options: TrainingTransformOptions };

/** From a decoded image to the pixels an encoder sees. */
export interface ImageTransform {
  /** Side of the square that comes out. */
  readonly size: number;
  readonly normalisation: Normalisation;
  /** What `transformOf` makes the same transform of. A transform without one runs in the thread that holds it. */
  readonly recipe?: TransformRecipe;
  /** `size` × `size` pixels, gray or RGB. */
  pixels(image: PixelImage, random: Random): PixelImage;
}

/** Gray stays gray, which costs a third; everything else becomes RGB. */
function opaque(image: PixelImage): PixelImage {
  return image.channels === 1 && image.palette === undefined ? image : toRgb(image);
}

function validationPixels(image: PixelImage, size: number): PixelImage {
  return opaque(centreCrop(resizeShorterSide(pixelImage(image), size), size));
}

/**
 * CLIP's transform for evaluation: shorter side to `size` (antialiased bicubic), middle square, then RGB.
 * The conversion comes last, as in open_clip, so palettes and alpha are resized in their own mode.
 */
export function validationTransform(size: number, normalisation: Normalisation): ImageTransform {
  return {
    size,
    normalisation,
    recipe: { kind: "validation", size, normalisation },
    pixels: (image) => validationPixels(image, size),
  };
}

export interface TrainingTransformOptions {
  readonly size: number;
  readonly normalisation: Normalisation;
  /** Default "crop-flip", the paper's. */
  readonly augmentation?: Augmentation;
  readonly crop?: CropOptions;
  readonly affine?: AffineOptions;
}

function trainingPixels({ size, augmentation = "crop-flip", crop, affine }: TrainingTransformOptions): ImageTransform["pixels"] {
  switch (augmentation) {
    case "none": return (image) => validationPixels(image, size);
    case "affine": return (image, random) => randomAffine(validationPixels(image, size), random, affine);
    case "crop-flip": return (image, random) => {
      const part = opaque(randomResizedCrop(pixelImage(image), size, random, crop));
      return random.next() < 0.5 ? flipHorizontally(part) : part;
    };
  }
}

/** A transform for training: the data set's augmentation at the encoder's size. */
export function trainingTransform(options: TrainingTransformOptions): ImageTransform {
  const { size, normalisation } = options;
  return { size, normalisation, recipe: { kind: "training", options }, pixels: trainingPixels(options) };
}

/** The transform that a recipe describes. */
export function transformOf(recipe: TransformRecipe): ImageTransform {
  return recipe.kind === "training" ? trainingTransform(recipe.options) : validationTransform(recipe.size, recipe.normalisation);
}
