import type { ProgressSink } from "@atlas-tv/core";
import { Presets, SingleBar } from "cli-progress";
import type { Terminal } from "./terminal.js";

/** Percent with one decimal. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

/** Progress that is being shown. */
export interface ShownProgress {
  readonly onEvent: ProgressSink;
  /** Takes the bar away; to be called however the work ends. */
  end(): void;
}

function metricsText(metrics: Readonly<Record<string, number>>): string {
  return Object.entries(metrics)
    .map(([name, value]) => `${name} ${percent(value)}`)
    .join(" ");
}

function lines(label: string, terminal: Terminal): ShownProgress {
  return {
    onEvent: (event) => {
      if (event.type === "start" && event.resumedAt > 0) {
        terminal.note(`${label}: going on after epoch ${event.resumedAt} of ${event.epochs}`);
      }
      if (event.type === "adapter" && event.step === event.steps) {
        terminal.note(`${label}: adapter fitted in ${event.steps} steps, loss ${event.loss.toFixed(4)}`);
      }
      if (event.type !== "epoch") return;
      const { epoch, loss, metrics } = event.record;
      terminal.note(`${label}: epoch ${epoch}/${event.epochs} loss ${loss.toFixed(4)} ${metricsText(metrics)}`.trimEnd());
    },
    end: () => {},
  };
}

function bar(label: string, terminal: Terminal, stream: NodeJS.WriteStream): ShownProgress {
  const format = `${label} {bar} {value}/{total} loss {loss} {metrics}`;
  const shown = new SingleBar({ stream, format, hideCursor: true, clearOnComplete: true }, Presets.rect);
  let metrics = "";
  return {
    onEvent: (event) => {
      if (event.type === "start") {
        if (event.resumedAt > 0) terminal.note(`${label}: going on after epoch ${event.resumedAt} of ${event.epochs}`);
        shown.start(event.steps, Math.round((event.steps * event.resumedAt) / event.epochs), { loss: "-", metrics });
      } else if (event.type === "step") {
        shown.update(event.step, { loss: event.loss.toFixed(4), metrics });
      } else if (event.type === "adapter") {
        if (event.step === 1) shown.start(event.steps, 0, { loss: "-", metrics: "adapter" });
        shown.update(event.step, { loss: event.loss.toFixed(4) });
      } else {
        metrics = metricsText(event.record.metrics);
        shown.update({ metrics });
      }
    },
    end: () => {
      shown.stop();
    },
  };
}

/** Shows learning: a bar on a terminal, a line an epoch elsewhere, nothing when quiet. */
export function terminalProgress(label: string, terminal: Terminal, { quiet }: { quiet: boolean }): ShownProgress {
  if (quiet) return { onEvent: () => {}, end: () => {} };
  return terminal.screen === undefined ? lines(label, terminal) : bar(label, terminal, terminal.screen);
}
