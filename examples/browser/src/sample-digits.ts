import type { Augmentation } from "@atlas-tv/core";
import type { PictureSet } from "./picture-set.js";

/** What `samples/digits.json` says about the sheet of pictures beside it. */
interface SampleSheet {
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

/** Replaces what is in the set by the digits that come with the page. */
export async function loadSampleDigits(set: PictureSet): Promise<SampleSheet> {
  const sheet = (await (await fetch(new URL("samples/digits.json", import.meta.url))).json()) as SampleSheet;
  const picture = await createImageBitmap(await (await fetch(new URL("samples/digits.png", import.meta.url))).blob());
  const canvas = Object.assign(document.createElement("canvas"), { width: sheet.side, height: sheet.side });
  const context = canvas.getContext("2d")!;
  const cut = async (row: number, column: number): Promise<Blob> => {
    context.drawImage(picture, -column * sheet.side, -row * sheet.side);
    return new Promise((resolve) => { canvas.toBlob((blob) => { resolve(blob!); }, "image/png"); });
  };
  set.clear();
  for (const [row, className] of sheet.classNames.entries()) {
    const { id } = set.addClass(className);
    for (const [use, from, count] of [["learning", 0, sheet.learned], ["checking", sheet.learned, sheet.checked]] as const) {
      const images: { blob: Blob; name: string }[] = [];
      for (let at = 0; at < count; at++) images.push({ blob: await cut(row, from + at), name: `sample ${from + at + 1} of ${className}` });
      set.add(id, images, use);
    }
  }
  picture.close();
  return sheet;
}
