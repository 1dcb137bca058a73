import type { Augmentation } from "@atlas-tv/core";
import type { FilledClass } from "./picture-set.js";

/** What `samples/digits.json` says about the sheet of pictures beside it. */
export interface SampleSheet {
  /** Of a square picture, in pixels. */
  readonly side: number;
  /** Pictures of a class, in a row of the sheet: the first are learned from, the others checked. */
  readonly learned: number;
  readonly checked: number;
  readonly classNames: readonly string[];
  readonly templates: readonly string[];
  readonly augmentation: Augmentation;
  /** The task vector that has seen such pictures. */
  readonly task: string;
}

/** The digits that come with the page, for those who have no images at hand. */
export class SampleDigits {
  private constructor(readonly sheet: SampleSheet, readonly picture: ImageBitmap) {}

  static async load(): Promise<SampleDigits> {
    const [sheet, picture] = await Promise.all(["digits.json", "digits.png"].map((file) => fetch(new URL(`samples/${file}`, import.meta.url))));
    return new SampleDigits((await sheet!.json()) as SampleSheet, await createImageBitmap(await picture!.blob()));
  }

  classes(): Promise<FilledClass[]> {
    const { classNames, learned, checked } = this.sheet;
    return Promise.all(classNames.map(async (name, row) => {
      const images = await Promise.all(Array.from({ length: learned + checked }, async (_, column) => {
        return { blob: await this.#cut(row, column), name: `sample ${column + 1} of ${name}` };
      }));
      return { name, learning: images.slice(0, learned), checking: images.slice(learned) };
    }));
  }

  #cut(row: number, column: number): Promise<Blob> {
    const { side } = this.sheet;
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
    canvas.getContext("2d")!.drawImage(this.picture, -column * side, -row * side);
    return new Promise((resolve) => { canvas.toBlob((blob) => { resolve(blob!); }, "image/png"); });
  }
}
