import { Presets, SingleBar } from "cli-progress";
import type { Terminal } from "./terminal.js";

/** Lines of progress where no bar can be drawn: one for each tenth. */
const LINES = 10;

/** Progress of work that is counted. */
export interface CountedProgress {
  readonly onProgress: (done: number, total: number) => void;
  /** Takes the bar away; to be called however the work ends. */
  end(): void;
}

function lines(label: string, terminal: Terminal): CountedProgress {
  let shown = 0;
  return {
    onProgress: (done, total) => {
      const tenths = Math.floor((LINES * done) / total);
      if (tenths > shown) terminal.note(`${label}: ${done} of ${total}`);
      shown = tenths;
    },
    end: () => {},
  };
}

function bar(label: string, stream: NodeJS.WriteStream): CountedProgress {
  const shown = new SingleBar({ stream, format: `${label} {bar} {value}/{total}`, hideCursor: true, clearOnComplete: true }, Presets.rect);
  let started = false;
  return {
    onProgress: (done, total) => {
      if (!started) shown.start(total, done);
      started = true;
      shown.update(done);
    },
    end: () => {
      shown.stop();
    },
  };
}

/** Shows how much is done: a bar on a terminal, a line for each tenth elsewhere, nothing when quiet. */
export function countedProgress(label: string, terminal: Terminal, { quiet }: { quiet: boolean }): CountedProgress {
  if (quiet) return { onProgress: () => {}, end: () => {} };
  return terminal.screen === undefined ? lines(label, terminal) : bar(label, terminal.screen);
}
