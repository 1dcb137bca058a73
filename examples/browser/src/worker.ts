/** The worker of the page: a session behind Comlink, so that the page stays responsive while it computes. */
import { expose } from "comlink";
import { browserCandidates } from "./browser-candidates.js";
import { Session } from "./session.js";

expose(new Session(browserCandidates(new URL("wasm/", import.meta.url).href, globalThis.crossOriginIsolated)));
