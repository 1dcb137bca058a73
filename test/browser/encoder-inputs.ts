import { ClipTokenizer } from "@atlas-tv/clip";
import { CLIP_NORMALISATION, imageInputs, Random, trainingTransform, validationTransform } from "@atlas-tv/core";
import { decodePng } from "@atlas-tv/datasets";

export interface SeenByEncoders {
  /** Normalised pixels of all pictures, one after another. */
  readonly validation: number[];
  readonly training: number[];
  /** Token ids of all texts. */
  readonly ids: number[];
}

/**
 * What encoders get of PNG files, through the transforms for evaluation and for training, and of texts.
 * @param files the bytes of each file.
 */
export async function seenByEncoders(files: readonly (readonly number[])[], texts: readonly string[], size: number): Promise<SeenByEncoders> {
  const normalisation = CLIP_NORMALISATION;
  const pictures = files.map((bytes) => decodePng(Uint8Array.from(bytes)));
  const through = (transform: ReturnType<typeof validationTransform>): number[] => {
    const random = new Random("browser");
    return [...imageInputs(pictures.map((picture) => transform.pixels(picture, random)), normalisation).data];
  };
  const tokenizer = await ClipTokenizer.openAi();
  return {
    validation: through(validationTransform(size, normalisation)),
    training: through(trainingTransform({ size, normalisation })),
    ids: [...tokenizer.encode(texts).data],
  };
}
