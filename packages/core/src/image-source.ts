/** Decoded pixels, row-major, interleaved channels, 0…255. */
export interface PixelImage {
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  readonly data: Uint8Array;
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
}

/** A data set with its official splits and the prompts that name its classes. */
export interface Dataset {
  readonly name: string;
  readonly classNames: readonly string[];
  /** Prompt templates with `{}` for the class name. */
  readonly templates: readonly string[];
  readonly train: ImageSource;
  readonly test: ImageSource;
}
