import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { InputError, PlainBackend, type Backend } from "@atlas-tv/core";

export type ComputeWish = "automatic" | "webgpu" | "wasm";

/** The backend that was chosen, and why not another. */
export interface Compute {
  readonly backend: Backend;
  readonly device: string;
  /** Sentences for the page. */
  readonly remarks: readonly string[];
}

/** A backend that may be chosen; those before others are preferred. */
export interface Candidate {
  readonly id: Exclude<ComputeWish, "automatic">;
  readonly title: string;
  readonly backend: Backend;
}

/** The candidates of a browser: wasm runs everywhere, its files are served with the page. */
export function browserCandidates(wasmFolder: string): Candidate[] {
  setWasmPaths(wasmFolder);
  return [{ id: "wasm", title: "WebAssembly", backend: new PlainBackend("wasm") }];
}

/** What a browser lacks, one sentence each; the second only matters to WebAssembly. */
export function threadRemark(isolated: boolean): string | null {
  if (isolated) return null;
  return "This page is not cross-origin isolated, so WebAssembly computes on one thread. Reload once the page works offline, or serve it with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.";
}

/**
 * Activates the first candidate that is usable, or the one that was asked for.
 * @throws InputError when none is: what is missing, and how to get it.
 */
export async function chooseCompute(wish: ComputeWish, candidates: readonly Candidate[], isolated: boolean): Promise<Compute> {
  const remarks: string[] = [];
  const wanted = wish === "automatic" ? candidates : candidates.filter(({ id }) => id === wish);
  for (const { id, title, backend } of wanted) {
    const { usable, device, missing } = await backend.probe();
    if (!usable) {
      remarks.push(`${title} is not used: ${missing.join("; ")}.`);
      continue;
    }
    await backend.activate();
    const thread = id === "wasm" ? threadRemark(isolated) : null;
    return { backend, device: `${title} (${device})`, remarks: thread === null ? remarks : [...remarks, thread] };
  }
  throw new InputError({ where: "this browser", got: remarks.join(" ") || `no backend "${wish}"`, expected: "one that can compute here", next: "choose another under Settings" });
}
