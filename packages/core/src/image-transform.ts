import { flipHorizontally, randomAffine, randomResizedCrop, type AffineOptions, type CropOptions } from "./augmentation.js";
import type { Augmentation, PixelImage } from "./image-source.js";
import { pixelImage, toRgb, type Normalisation } from "./pixels.js";
import type { Random } from "./random.js";
import { centreCrop, resizeShorterSide } from "./resample.js";

/** From a decoded image to the pixels an encoder sees. */
export interface ImageTransform {
  /** Side of the square that comes out. */
  readonly size: number;
  readonly normalisation: Normalisation;
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
  return { size, normalisation, pixels: (image) => validationPixels(image, size) };
}

export interface TrainingTransformOptions {
  readonly size: number;
  readonly normalisation: Normalisation;
  /** Default "crop-flip", the paper's. */
  readonly augmentation?: Augmentation;
  readonly crop?: CropOptions;
  readonly affine?: AffineOptions;
}

/** A transform for training: the data set's augmentation at the encoder's size. */
export function trainingTransform(options: TrainingTransformOptions): ImageTransform {
  const { size, normalisation, augmentation = "crop-flip" } = options;
  switch (augmentation) {
    case "none": return validationTransform(size, normalisation);
    case "affine": return {
      size,
      normalisation,
      pixels: (image, random) => randomAffine(validationPixels(image, size), random, options.affine),
    };
    case "crop-flip": return {
      size,
      normalisation,
      pixels: (image, random) => {
        const part = opaque(randomResizedCrop(pixelImage(image), size, random, options.crop));
        return random.next() < 0.5 ? flipHorizontally(part) : part;
      },
    };
  }
}
