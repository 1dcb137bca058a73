import type { Camera } from "./camera.js";
import { onDrop, pickedImages, type FoundImage } from "./image-intake.js";
import { byId, fromTemplate, reporting, within } from "./page-elements.js";
import type { Picture, PictureClass, PictureSet } from "./picture-set.js";

/** What the cards ask of the page. */
export interface CardActions {
  /** Adds images to a class, after they were looked at. */
  readonly add: (classId: number, images: readonly FoundImage[]) => Promise<void>;
  readonly failure: HTMLElement;
  readonly camera: Camera;
}

interface Card {
  readonly element: HTMLElement;
  readonly name: HTMLInputElement;
  readonly thumbnails: HTMLUListElement;
  readonly count: HTMLElement;
  shown: readonly Picture[];
}

const plural = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** One card a class: its name, its pictures, and ways to add some. */
export class ClassCards {
  readonly #place = byId("classes", HTMLElement);
  readonly #cards = new Map<number, Card>();
  /** Object URLs of pictures that are shown, by picture. */
  readonly #urls = new Map<number, string>();
  #current: number | null = null;

  constructor(readonly set: PictureSet, readonly actions: CardActions) {
    set.onChange(() => { this.#render(); });
    this.#render();
  }

  /** The class that was used last, or the first one: where a pasted image goes. */
  get current(): PictureClass | undefined {
    return this.set.classes.find(({ id }) => id === this.#current) ?? this.set.classes[0];
  }

  focus(classId: number): void {
    this.#cards.get(classId)?.name.focus();
  }

  #render(): void {
    const { classes } = this.set;
    for (const [id, { element }] of this.#cards) {
      if (classes.some((own) => own.id === id)) continue;
      element.remove();
      this.#cards.delete(id);
    }
    for (const own of classes) {
      const card = this.#cards.get(own.id) ?? this.#addCard(own);
      if (card.name.value !== own.name) card.name.value = own.name;
      card.element.setAttribute("aria-label", own.name.trim() === "" ? "Class without a name" : `Class ${own.name.trim()}`);
      if (card.shown !== own.pictures) this.#showPictures(card, own);
    }
    const kept = new Set(classes.flatMap(({ pictures }) => pictures.map(({ id }) => id)));
    for (const [id, url] of this.#urls) {
      if (kept.has(id)) continue;
      URL.revokeObjectURL(url);
      this.#urls.delete(id);
    }
  }

  #addCard({ id }: PictureClass): Card {
    const element = fromTemplate("class-card");
    const card: Card = {
      element,
      name: within(element, ".class-name", HTMLInputElement),
      thumbnails: within(element, ".thumbnails", HTMLUListElement),
      count: within(element, ".count", HTMLElement),
      shown: [],
    };
    const add = (images: Promise<FoundImage[]>): void => {
      this.#current = id;
      reporting(this.actions.failure, async () => this.actions.add(id, await images));
    };
    const files = within(element, ".files", HTMLInputElement);
    files.id = `files-${id}`;
    within(element, "label.button", HTMLLabelElement).htmlFor = files.id;
    files.addEventListener("change", () => {
      add(Promise.resolve(pickedImages(files.files)));
      files.value = "";
    });
    card.name.addEventListener("input", () => { this.set.renameClass(id, card.name.value); });
    within(element, ".remove-class", HTMLButtonElement).addEventListener("click", () => {
      this.set.removeClass(id);
      byId("add-class", HTMLButtonElement).focus();
    });
    within(element, ".shoot", HTMLButtonElement).addEventListener("click", () => {
      this.#current = id;
      const take = (blob: Blob): void => { add(Promise.resolve([{ blob, name: "camera picture", folders: [] }])); };
      reporting(this.actions.failure, () => this.actions.camera.open(take));
    });
    element.addEventListener("focusin", () => { this.#current = id; });
    element.addEventListener("pointerdown", () => { this.#current = id; });
    onDrop(element, add);
    this.#cards.set(id, card);
    this.#place.append(element);
    card.count.textContent = "or drop some here";
    return card;
  }

  #showPictures(card: Card, own: PictureClass): void {
    const focused = [...card.thumbnails.children].findIndex((item) => item.contains(document.activeElement));
    const selector = document.activeElement?.classList.contains("remove") === true ? ".remove" : ".use";
    card.thumbnails.replaceChildren(...own.pictures.map((picture) => this.#thumbnail(own.id, picture)));
    card.shown = own.pictures;
    const checked = own.pictures.filter(({ use }) => use === "checking").length;
    card.count.textContent = `${plural(own.pictures.length, "image")}${checked === 0 ? "" : `, ${checked} of them checked`}`;
    if (focused < 0) return;
    // The focus stays at its place in the list, or goes to the name when the list is empty.
    const item = card.thumbnails.children[Math.min(focused, own.pictures.length - 1)];
    (item?.querySelector<HTMLElement>(selector) ?? card.name).focus();
  }

  #thumbnail(classId: number, { id, name, blob, use }: Picture): HTMLElement {
    const item = fromTemplate("thumbnail");
    const url = this.#urls.get(id) ?? URL.createObjectURL(blob);
    this.#urls.set(id, url);
    Object.assign(within(item, "img", HTMLImageElement), { src: url, alt: name });
    const checking = use === "checking";
    within(item, ".badge", HTMLElement).hidden = !checking;
    const toggle = within(item, ".use", HTMLButtonElement);
    toggle.title = checking ? "Only checked. Press to learn from it." : "Learned from. Press to check it only.";
    toggle.addEventListener("click", () => { this.set.toggleUse(classId, id); });
    const remove = within(item, ".remove", HTMLButtonElement);
    remove.setAttribute("aria-label", `Remove ${name}`);
    remove.addEventListener("click", () => { this.set.remove(classId, id); });
    return item;
  }
}
