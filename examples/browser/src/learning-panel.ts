import type { EpochReport, AdaptationSettings } from "./adaptation.js";
import type { Augmentation } from "@atlas-tv/core";
import { HeatMap } from "./heat-map.js";
import { lineChart, type Series } from "./line-chart.js";
import { byId, create, percent, showFailure } from "./page-elements.js";

const numberOf = (id: string): number => byId(id, HTMLInputElement).valueAsNumber;

/** The learn button, its settings, and what is seen while it learns. */
export class LearningPanel {
  readonly #learn = byId("learn", HTMLButtonElement);
  readonly #stop = byId("stop", HTMLButtonElement);
  readonly #settings = byId("settings", HTMLElement);
  readonly #progress = byId("progress", HTMLProgressElement);
  readonly #status = byId("learn-status", HTMLElement);
  readonly #failure = byId("learn-failure", HTMLElement);
  readonly #todo = byId("todo", HTMLUListElement);
  #losses: (readonly [number, number])[] = [];
  #reports: EpochReport[] = [];
  #steps = 0;
  #heatMap: HeatMap | null = null;

  constructor(actions: { readonly learn: () => void; readonly stop: () => void; readonly change: () => void }) {
    this.#learn.addEventListener("click", actions.learn);
    this.#settings.addEventListener("input", actions.change);
    this.#stop.addEventListener("click", () => {
      this.#status.textContent = "Stopping after this step …";
      actions.stop();
    });
  }

  get settings(): AdaptationSettings {
    return {
      epochs: numberOf("epochs"),
      batchSize: numberOf("batch-size"),
      learningRate: numberOf("rate"),
      augmentation: byId("augmentation", HTMLSelectElement).value as Augmentation,
      seed: numberOf("seed"),
    };
  }

  get templates(): string[] {
    return byId("templates", HTMLTextAreaElement).value.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  }

  /** What is wrong with the settings, a sentence each; the browser says what it expects of a field. */
  get problems(): string[] {
    return [...this.#settings.querySelectorAll("input")]
      .filter(({ validity }) => !validity.valid)
      .map(({ labels, validationMessage }) => `Settings, ${labels![0]!.textContent!.trim()}: ${validationMessage}`);
  }

  suggest(templates: readonly string[], augmentation: Augmentation): void {
    byId("templates", HTMLTextAreaElement).value = templates.join("\n");
    byId("augmentation", HTMLSelectElement).value = augmentation;
  }

  /** What keeps the button from being of use; empty when nothing does. */
  require(problems: readonly string[]): void {
    this.#learn.disabled = problems.length > 0;
    this.#todo.replaceChildren(...problems.map((problem) => create("li", { textContent: problem })));
  }

  /** @param tasks columns of the heat map, the task vectors; @param blocks its rows. */
  begin(tasks: readonly string[], blocks: readonly string[]): void {
    this.#losses = [];
    this.#reports = [];
    this.#steps = 0;
    showFailure(this.#failure, null);
    this.#running(true);
    this.#status.textContent = "Reading images and task vectors …";
    this.#heatMap = new HeatMap(tasks, blocks);
    byId("heat-map", HTMLElement).replaceChildren(this.#heatMap.element);
    byId("epochs-table", HTMLTableSectionElement).replaceChildren();
  }

  step(step: number, steps: number, loss: number): void {
    this.#steps = steps;
    this.#losses.push([step, loss]);
    this.#progress.max = steps;
    this.#progress.value = step;
    this.#draw();
  }

  epoch(report: EpochReport): void {
    this.#reports.push(report);
    const { epoch, epochs, loss, learned, checked } = report;
    const accuracy = checked ?? learned;
    this.#status.textContent = epoch === 0
      ? `Before learning: ${percent(accuracy.accuracy)} of ${checked === null ? "the images to learn from" : "the checked images"} are right.`
      : `Epoch ${epoch} of ${epochs}: loss ${loss!.toFixed(3)}, accuracy ${percent(accuracy.accuracy)}.`;
    byId("epochs-table", HTMLTableSectionElement).append(create("tr", {},
      create("th", { scope: "row", textContent: epoch === 0 ? "before" : String(epoch) }),
      ...[loss?.toFixed(3) ?? "–", percent(learned.accuracy), checked === null ? "–" : percent(checked.accuracy)].map((text) => create("td", { textContent: text }))));
    this.#heatMap?.show(report.coefficients);
    this.#draw();
  }

  end(message: string): void {
    this.#running(false);
    this.#status.textContent = message;
  }

  fail(failure: unknown): void {
    this.end("");
    showFailure(this.#failure, failure);
  }

  #running(running: boolean): void {
    const hadFocus = document.activeElement === this.#learn || document.activeElement === this.#stop;
    this.#learn.hidden = running;
    this.#stop.hidden = this.#progress.hidden = !running;
    if (running) {
      byId("curves", HTMLElement).hidden = byId("numbers", HTMLElement).hidden = byId("coefficients", HTMLElement).hidden = false;
      this.#progress.removeAttribute("value");
    }
    if (hadFocus) (running ? this.#stop : this.#learn).focus();
  }

  #draw(): void {
    const last = this.#losses.at(-1);
    byId("loss-curve", HTMLElement).replaceChildren(lineChart({
      summary: last === undefined ? "No step yet" : `Loss after ${last[0]} of ${this.#steps} steps: from ${this.#losses[0]![1].toFixed(2)} to ${last[1].toFixed(2)}`,
      series: [{ name: "loss", style: 1, points: this.#losses }],
      xEnd: this.#steps || 1,
      xTitle: "steps",
      yText: (loss) => loss.toFixed(1),
    }));
    const series: Series[] = [{ name: "images learned from", style: 2, points: this.#reports.map(({ epoch, learned }) => [epoch, learned.accuracy]) }];
    const checked = this.#reports.flatMap(({ epoch, checked: own }) => (own === null ? [] : [[epoch, own.accuracy] as const]));
    if (checked.length > 0) series.unshift({ name: "checked images", style: 1, points: checked });
    byId("accuracy-curve", HTMLElement).replaceChildren(lineChart({
      summary: series.map(({ name, points }) => `Accuracy on ${name}: from ${percent(points[0]?.[1] ?? 0)} to ${percent(points.at(-1)?.[1] ?? 0)}`).join(". "),
      series,
      xEnd: this.#reports[0]?.epochs ?? 1,
      xTitle: "epochs",
      yEnd: 1,
      yText: (share) => `${100 * share} %`,
    }), legend(series));
  }
}

function legend(series: readonly Series[]): HTMLElement {
  return create("p", { className: "legend" }, ...series.map(({ name, style }) => create("span", { className: `key series-${style}`, textContent: name })));
}
