/** Decoded pixels, row-major, interleaved channels, 0…255. */
export interface PixelImage {
  readonly width: number;
  readonly height: number;
  /** 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha (alpha not multiplied in). */
  readonly channels: 1 | 2 | 3 | 4;
  /** width × height × channels values. */
  readonly data: Uint8Array;
  /** RGB triplets; the one channel then holds indices into it. */
  readonly palette?: Uint8Array;
}

/** An image as its file holds it. */
export interface EncodedImage {
  readonly bytes: Uint8Array;
  /** The file, for error messages. */
  readonly where: string;
}

/** Labelled images that are decoded one at a time when asked for. */
export interface ImageSource {
  readonly name: string;
  readonly length: number;
  /** Class names, in label order. */
  readonly classNames: readonly string[];
  /** `length` labels; reading them decodes nothing. */
  readonly labels: Int32Array;
  image(index: number): Promise<PixelImage>;
  /** The image before it is decoded, where it comes from a file: decoding can then be done elsewhere. */
  encoded?(index: number): Promise<EncodedImage>;
}

/**
 * How training images of a data set are varied: "crop-flip" is the paper's random resized crop and horizontal
 * flip; "affine" turns, shifts and scales a little, for digits and letters, which a crop or a flip would change.
 */
export type Augmentation = "none" | "crop-flip" | "affine";

/** A data set with its official splits and the prompts that name its classes. */
export interface Dataset {
  readonly name: string;
  readonly classNames: readonly string[];
  /** Prompt templates with `{}` for the class name. */
  readonly templates: readonly string[];
  readonly train: ImageSource;
  readonly test: ImageSource;
  /** The variation that keeps every class recognisable. Default "crop-flip". */
  readonly augmentation?: Augmentation;
}
