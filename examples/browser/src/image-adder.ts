import { placeOf, type FoundImage } from "./image-intake.js";
import type { PictureSet, UseRule } from "./picture-set.js";

/** Files that an error message names; of further ones it gives the number. */
const NAMED_FAILURES = 3;

export interface ImageAdderOptions {
  readonly set: PictureSet;
  /** Rejects what is no image. */
  readonly check: (blob: Blob, name: string) => Promise<unknown>;
  /** How new images are used. */
  readonly rule: () => UseRule;
  /** Told what is being looked at, and what was added, in a sentence. */
  readonly tell: (message: string) => void;
}

const counted = (images: number): string => `${images} ${images === 1 ? "image" : "images"}`;

/** Puts images into classes after looking at each: what is no image is refused, the others are taken. */
export class ImageAdder {
  #looking = 0;

  constructor(readonly options: ImageAdderOptions) {}

  /** Whether images are on their way into the set. */
  get isLooking(): boolean {
    return this.#looking > 0;
  }

  /** @throws Error that says which files were no images; the others were added. */
  async addTo(classId: number, images: readonly FoundImage[]): Promise<void> {
    const { good, failures } = await this.#look(images);
    this.options.set.add(classId, good, this.options.rule());
    this.#report(good.length, failures);
  }

  /** Images go to the classes that their folders name. @throws Error as `addTo`, and for folders without classes. */
  async addFolder(images: readonly FoundImage[]): Promise<void> {
    const { set, rule } = this.options;
    const placed = images.filter(({ folders }) => placeOf(folders) !== null);
    if (placed.length === 0) throw new Error("What was dropped here is no folder of classes: it has no subfolder with images. Drop single images on a class.");
    const { good, failures } = await this.#look(placed);
    const groups = new Map<string, FoundImage[]>();
    for (const image of good) {
      const { className, use } = placeOf(image.folders)!;
      const key = JSON.stringify([className, use ?? rule()]);
      groups.set(key, [...(groups.get(key) ?? []), image]);
    }
    for (const [key, group] of groups) {
      const [className, use] = JSON.parse(key) as [string, UseRule];
      set.add(set.classNamed(className).id, group, use);
    }
    this.#report(good.length, failures);
  }

  async #look(images: readonly FoundImage[]): Promise<{ good: FoundImage[]; failures: unknown[] }> {
    const good: FoundImage[] = [];
    const failures: unknown[] = [];
    this.#looking++;
    this.options.tell(`Looking at ${counted(images.length)} …`);
    try {
      for (const image of images) {
        try {
          await this.options.check(image.blob, image.name);
          good.push(image);
        } catch (failure) {
          failures.push(failure);
        }
      }
    } finally {
      this.#looking--;
    }
    return { good, failures };
  }

  #report(added: number, failures: readonly unknown[]): void {
    this.options.tell(`${counted(added)} added.`);
    if (failures.length === 0) return;
    const named = failures.slice(0, NAMED_FAILURES).map((failure) => (failure instanceof Error ? failure.message : String(failure)));
    const rest = failures.length - named.length;
    throw new Error([...named, ...(rest > 0 ? [`and ${rest} more files that are no images`] : [])].join("\n"));
  }
}
