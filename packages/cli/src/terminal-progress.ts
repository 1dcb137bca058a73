import type { ProgressSink } from "@atlas-tv/core";
import { Presets, SingleBar } from "cli-progress";

/** Percent with one decimal. */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}

/** Shows learning on stderr: a bar on a terminal, a line an epoch elsewhere, nothing when quiet. */
export function terminalProgress(label: string, quiet = false, stream: NodeJS.WriteStream = process.stderr): ProgressSink {
  if (quiet) return () => {};
  const bar = stream.isTTY
    ? new SingleBar({ stream, format: `${label} {bar} {value}/{total} loss {loss} {metrics}`, hideCursor: true, clearOnComplete: true }, Presets.rect)
    : null;
  const shown = (metrics: Readonly<Record<string, number>>): string =>
    Object.entries(metrics).map(([name, value]) => `${name} ${percent(value)}`).join(" ");
  let metrics = "";
  return (event) => {
    if (event.type === "start") {
      if (event.resumedAt > 0) stream.write(`${label}: going on after epoch ${event.resumedAt}\n`);
      bar?.start(event.steps, 0, { loss: "-", metrics });
    } else if (event.type === "step") {
      bar?.update(event.step, { loss: event.loss.toFixed(4), metrics });
    } else {
      metrics = shown(event.record.metrics);
      bar?.update({ metrics });
      if (bar === null) stream.write(`${label}: epoch ${event.record.epoch}/${event.epochs} loss ${event.record.loss.toFixed(4)} ${metrics}\n`);
      if (event.record.epoch === event.epochs) bar?.stop();
    }
  };
}
