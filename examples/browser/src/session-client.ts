import { proxy, wrap, type Remote } from "comlink";
import type { AdaptationHooks } from "./adaptation.js";
import type { LearningTask, Result, Session } from "./session.js";

/** The session in its worker, as the page sees it. */
export class SessionClient {
  readonly session: Remote<Session>;

  constructor() {
    const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module", name: "atlas" });
    worker.addEventListener("error", (event) => { console.error("the worker failed:", event.message); });
    this.session = wrap<Session>(worker);
  }

  /** Learns with callbacks into the page. */
  learn(task: LearningTask, hooks: Required<Pick<AdaptationHooks, "onStep" | "onEpoch">>): Promise<Result> {
    return this.session.learn(task, proxy(hooks.onStep), proxy(hooks.onEpoch));
  }
}
