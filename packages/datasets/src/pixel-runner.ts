import { InputError, type EncodedImage, type ImageTransform, type PixelImage, type Random } from "@atlas-tv/core";

/** Where the images of a batch are decoded and transformed. */
export interface PixelRunner {
  /** Whether it takes images as their files hold them. */
  readonly decodes: boolean;
  /** How many batches are best prepared ahead of the one in use. */
  readonly depth: number;
  /**
   * Transforms images in order, all drawing from `random`, which must not have been drawn from. The same numbers
   * wherever it runs.
   */
  run(images: readonly (PixelImage | EncodedImage)[], transform: ImageTransform, random: Random): Promise<PixelImage[]>;
}

/** In the calling thread, on decoded images. */
export const transformHere: PixelRunner = {
  decodes: false,
  depth: 1,
  run: async (images, transform, random) => images.map((image) => {
    if (!("bytes" in image)) return transform.pixels(image, random);
    throw new InputError({ where: image.where, got: "an encoded image", expected: "a decoded one: this thread decodes none" });
  }),
};
