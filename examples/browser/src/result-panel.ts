import type { Accuracy } from "@atlas-tv/core";
import type { EpochReport } from "./adaptation.js";
import { byId, create, percent, reporting } from "./page-elements.js";
import type { Prediction, Result } from "./session.js";

export interface ResultActions {
  readonly predict: (blob: Blob, name: string) => Promise<Prediction>;
  readonly composition: () => Promise<Blob>;
}

function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  create("a", { href: url, download: name }).click();
  // The download has begun when the click returns, but not every browser has read the URL by then.
  setTimeout(() => { URL.revokeObjectURL(url); }, 60_000);
}

/** On the images kept for checking where there are some, on those learned from otherwise. */
const accuracyOf = ({ checked, learned }: EpochReport): Accuracy => checked ?? learned;

/** What a result says of accuracy, in a clause. */
export function accuracyClause({ reports }: Result): string {
  const [from, to] = [reports[0]!, reports.at(-1)!].map((report) => percent(accuracyOf(report).accuracy));
  return `accuracy went from ${from} to ${to}`;
}

/** The learned coefficients: how good they are, what they look like, what they make of a new image, and their file. */
export class ResultPanel {
  readonly #section = byId("result", HTMLElement);
  readonly #prediction = byId("prediction", HTMLElement);
  readonly #failure = byId("try-failure", HTMLElement);
  #pictureUrl: string | null = null;

  constructor(readonly actions: ResultActions) {
    byId("download", HTMLButtonElement).addEventListener("click", () => {
      reporting(this.#failure, async () => { save(await this.actions.composition(), "composition.safetensors"); });
    });
  }

  get shown(): boolean {
    return !this.#section.hidden;
  }

  hide(): void {
    this.#section.hidden = true;
    this.#prediction.replaceChildren();
  }

  show({ reports, stopped, seconds, head }: Result): void {
    const [before, after] = [reports[0]!, reports.at(-1)!];
    const [from, to] = [before, after].map(accuracyOf) as [Accuracy, Accuracy];
    const images = before.checked === null ? "the images it learned from (keep some for checking to see how it does on others)" : "the checked images";
    byId("outcome", HTMLElement).replaceChildren(
      create("span", { className: "figure", textContent: percent(from.accuracy) }), " before, ",
      create("span", { className: "figure", textContent: percent(to.accuracy) }), ` after learning: ${to.correct} of ${to.total} of ${images} are right. `,
      stopped ? `Stopped after epoch ${after.epoch} of ${after.epochs}.` : `${after.epochs} epochs in ${seconds.toFixed(0)} seconds.`,
    );
    const source = head.from === "names" ? "Before learning, the classes are told apart by their names alone (zero-shot)." : "";
    byId("head-facts", HTMLElement).textContent = [source, head.remark].filter((text) => text !== "").join(" ");
    this.#prediction.replaceChildren();
    this.#section.hidden = false;
  }

  /** Shows what the model sees in an image. */
  tryImage(blob: Blob, name: string): void {
    reporting(this.#failure, async () => {
      this.#prediction.replaceChildren();
      const prediction = await this.actions.predict(blob, name);
      if (this.#pictureUrl !== null) URL.revokeObjectURL(this.#pictureUrl);
      this.#pictureUrl = URL.createObjectURL(blob);
      this.#prediction.replaceChildren(create("img", { src: this.#pictureUrl, alt: name }), this.#table(prediction));
    });
  }

  #table({ classNames, before, after }: Prediction): HTMLElement {
    const order = after.map((_, label) => label).sort((a, b) => after[b]! - after[a]!);
    const bar = (share: number): HTMLElement => {
      const cell = create("td", { className: "bar", textContent: percent(share) });
      cell.style.setProperty("--share", `${100 * share}%`);
      return cell;
    };
    const rows = order.map((label) => create("tr", {}, create("th", { scope: "row", textContent: classNames[label]! }), bar(after[label]!), bar(before[label]!)));
    const best = classNames[order[0]!]!;
    const head = create("tr", {}, ...["Class", "Adapted", "Before"].map((textContent) => create("th", { scope: "col", textContent })));
    return create("div", {}, create("p", { className: "best" }, "This looks like ", create("strong", { textContent: best }), "."),
      create("table", {}, create("thead", {}, head), create("tbody", {}, ...rows)));
  }
}
