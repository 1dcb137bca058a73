import { byId, create, reporting } from "./page-elements.js";
import type { ModelLocation } from "./model-location.js";
import type { ModelSummary } from "./session.js";

/** The zoo's model, served with the page. */
const ZOO: ModelLocation = { kind: "url", url: new URL("models/mini-clip", import.meta.url).href };

/** Where the base model is chosen, and which of its task vectors are combined. */
export class ModelPanel {
  readonly #base = byId("base", HTMLSelectElement);
  readonly #vectors = byId("vectors", HTMLElement);
  readonly #facts = byId("model-facts", HTMLElement);
  readonly #failure = byId("model-failure", HTMLElement);
  #blocks: readonly string[] = [];

  /** @param open loads a model in the session. */
  constructor(readonly open: (location: ModelLocation) => Promise<ModelSummary>, readonly onChange: () => void) {
    const [folderChoice, urlChoice] = [byId("folder-choice", HTMLElement), byId("url-choice", HTMLFormElement)];
    this.#base.addEventListener("change", () => {
      folderChoice.hidden = this.#base.value !== "folder";
      urlChoice.hidden = this.#base.value !== "url";
      if (this.#base.value === "zoo") this.load(ZOO);
    });
    const folder = byId("model-folder", HTMLInputElement);
    folder.addEventListener("change", () => {
      this.load({ kind: "folder", files: [...(folder.files ?? [])] });
      folder.value = "";
    });
    urlChoice.addEventListener("submit", (event) => {
      event.preventDefault();
      this.load({ kind: "url", url: byId("model-url", HTMLInputElement).value });
    });
    byId("all-vectors", HTMLButtonElement).addEventListener("click", () => { this.#tick(() => true); });
    byId("no-vectors", HTMLButtonElement).addEventListener("click", () => { this.#tick(() => false); });
    this.#vectors.addEventListener("change", () => { this.onChange(); });
  }

  loadZoo(): void {
    this.load(ZOO);
  }

  load(location: ModelLocation): void {
    reporting(this.#failure, async () => {
      this.#facts.textContent = "Loading the model …";
      this.#vectors.replaceChildren();
      this.onChange();
      try {
        this.#show(await this.open(location));
      } catch (failure) {
        this.#facts.textContent = "No model is loaded.";
        throw failure;
      } finally {
        this.onChange();
      }
    });
  }

  /** Names of the model's parameter blocks. */
  get blocks(): readonly string[] {
    return this.#blocks;
  }

  /** The ticked task vectors. */
  get tasks(): string[] {
    return this.#boxes().filter((box) => box.checked).map((box) => box.value);
  }

  /** A target's own task vector has seen its images: it is left out. */
  untick(task: string): void {
    this.#tick((name, ticked) => ticked && name !== task);
  }

  #boxes(): HTMLInputElement[] {
    return [...this.#vectors.querySelectorAll("input")];
  }

  #tick(rule: (task: string, ticked: boolean) => boolean): void {
    for (const box of this.#boxes()) box.checked = rule(box.value, box.checked);
    this.onChange();
  }

  #show({ name, imageSize, blocks, tasks }: ModelSummary): void {
    this.#blocks = blocks;
    this.#facts.textContent = `${name}: images of ${imageSize} × ${imageSize} pixels, ${blocks.length} parameter blocks, ${tasks.length} task vectors.`;
    this.#vectors.replaceChildren(...tasks.map((task) => {
      return create("label", { className: "choice" }, create("input", { type: "checkbox", value: task, checked: true }), task);
    }));
  }
}
