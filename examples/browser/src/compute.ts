import { InputError, type Backend, type BackendReport } from "@atlas-tv/core";

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
  /** What it computes on, once it is active. */
  readonly device: (report: BackendReport) => string;
  /** What would make it faster; null when there is nothing to say. */
  readonly remark: () => string | null;
}

/** Graphics adapters that are a program on the processor, by a part of their names: slower than WebAssembly there. */
const EMULATED = /swiftshader|llvmpipe|lavapipe|basic render/i;

/** Why a backend is not taken, or null. */
async function refusal({ title, backend }: Candidate, report: BackendReport, automatic: boolean): Promise<string | null> {
  if (!report.usable) return `${title} is not used. It lacks ${report.missing.join("; ")}.`;
  if (automatic && EMULATED.test(report.device)) {
    return `${title} is not used: the processor would emulate it (${report.device}). It can be chosen under Settings all the same.`;
  }
  try {
    await backend.activate();
    return null;
  } catch (failure) {
    return `${title} is not used: it did not start. ${failure instanceof Error ? failure.message : String(failure)}`;
  }
}

/**
 * Activates the first candidate that is usable, or the one that was asked for.
 * @throws InputError when none is: what is missing, and how to get it.
 */
export async function chooseCompute(wish: ComputeWish, candidates: readonly Candidate[]): Promise<Compute> {
  const remarks: string[] = [];
  const automatic = wish === "automatic";
  for (const candidate of automatic ? candidates : candidates.filter(({ id }) => id === wish)) {
    const report = await candidate.backend.probe();
    const reason = await refusal(candidate, report, automatic);
    if (reason === null) {
      const remark = candidate.remark();
      return {
        backend: candidate.backend,
        device: `${candidate.title}, ${candidate.device(report)}`,
        remarks: remark === null ? remarks : [...remarks, remark],
      };
    }
    remarks.push(reason);
  }
  throw new InputError({ where: "this browser", got: remarks.join(" "), expected: "something to compute with", next: "choose another under Settings" });
}
