import { join } from "node:path";
import { rawAndClamped, type AdapterArtefact, type CompositionArtefact, type DatasetSplit, type Measurements, type RunRecord } from "@atlas-tv/checkpoints";
import { InputError, type Backend, type EpochRecord, type LearnerState, type Metrics, type ProgressSink } from "@atlas-tv/core";
import { backendFacts, peakMemoryBytes } from "./run-facts.js";
import { ReferenceFile } from "./reference-file.js";
import { RunFolder } from "./run-folder.js";
import type { RunRemarks, Terminal } from "./terminal.js";
import { terminalProgress } from "./terminal-progress.js";

/** JSON of any kind, as `run.json` records options. */
export type Json = CompositionArtefact["model"];

/** A value as JSON has it. */
export function asJson(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}

/** A run before it starts: where it is written, and all that its result depends on. */
export interface RunPlan {
  readonly command: string;
  readonly path: string;
  /** The flag that names the folder. */
  readonly flag: string;
  /** In front of the names of the run's own files; default nothing. */
  readonly prefix?: string;
  /** Further files in the folder that the run writes. */
  readonly files?: readonly string[];
  /** The result in the reference's layout: a further file in the folder, and an addition to `<save>/<model>/<file>`. */
  readonly reference?: { readonly file: string; readonly model: string; readonly save: string | undefined };
  /** In front of its progress. */
  readonly label: string;
  readonly options: Readonly<Record<string, Json>>;
  readonly seed: number;
  readonly hashes: RunRecord["hashes"];
  readonly backend: Backend;
  readonly flags: { readonly resume: boolean; readonly quiet: boolean; readonly json: boolean };
}

/** What `learn` takes of a run. */
export interface RunHooks {
  readonly onEvent: ProgressSink;
  readonly signal: AbortSignal;
  readonly save: (state: LearnerState) => Promise<void>;
  readonly resume?: LearnerState;
}

/** What a run came to. */
export interface RunResult {
  /** Metrics of the base model, in [0, 1]. */
  readonly zeroShot: Metrics;
  readonly final: Measurements;
  readonly history: readonly EpochRecord[];
  readonly composition?: CompositionArtefact;
  readonly splits?: readonly DatasetSplit[];
  readonly adapter?: Omit<AdapterArtefact, "composition">;
  /** The content of the plan's file in the reference's layout. */
  readonly reference?: Readonly<Record<string, unknown>>;
  readonly notes?: readonly string[];
}

/** Metrics of a finished run, raw, in [0, 1]. */
export interface FinishedRun {
  readonly path: string;
  readonly zeroShot: Metrics;
  readonly final: Metrics;
  readonly epochs: readonly Pick<EpochRecord, "epoch" | "selected">[];
}

/** What went wrong in the middle of a run, such as a full disk: beside what to do, that nothing is lost. */
async function orKept<T>(work: () => Promise<T>, savedEpoch: () => number): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof InputError) || savedEpoch() === 0) throw error;
    const kept = `the state after epoch ${savedEpoch()} is kept, and the same command with --resume goes on from it`;
    const { next } = error.facts;
    throw new InputError({ ...error.facts, next: next === undefined ? kept : `${next}; ${kept}` }, { cause: error });
  }
}

/** Adds what a finished run wrote in the reference's layout to the results of others. */
async function addReference(to: ReferenceFile, document: string): Promise<void> {
  try {
    await to.add(document);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const kept = "the run itself is finished, and the same command with --resume adds its results";
    const { next } = error.facts;
    throw new InputError({ ...error.facts, next: next === undefined ? kept : `${next}; ${kept}` }, { cause: error });
  }
}

/** One run in one folder: begun, gone on with from its saved state, or, when it is finished, read back. */
export async function recordedRun(
  plan: RunPlan,
  remarks: RunRemarks,
  terminal: Terminal,
  work: (hooks: RunHooks, folder: RunFolder) => Promise<RunResult>,
): Promise<FinishedRun> {
  const { path, options, seed, hashes, backend, flags, flag, prefix = "", files: further = [], reference } = plan;
  const place = { flag, prefix, files: further };
  const folder = await RunFolder.open(path, { ...options, seed, hashes, backend: backend.id }, flags.resume, place);
  const collected = reference?.save === undefined ? null : await ReferenceFile.open(reference.save, reference.model, reference.file);
  const collect = async (): Promise<void> => {
    if (collected !== null) await addReference(collected, join(folder.path, reference!.file));
  };
  if (folder.isFinished) {
    const { remarks: said, ...finished } = await folder.finishedRun();
    folder.removeState();
    await collect();
    remarks.add(`${path} was finished already`);
    said.forEach(remarks.add);
    return { path: folder.path, ...finished };
  }
  const claim = await folder.claim();
  try {
    const run = await unfinishedRun(plan, folder, remarks, terminal, work);
    await collect();
    return run;
  } finally {
    await claim.release();
  }
}

/** A run that is begun, or gone on with. */
async function unfinishedRun(
  plan: RunPlan,
  folder: RunFolder,
  remarks: RunRemarks,
  terminal: Terminal,
  work: (hooks: RunHooks, folder: RunFolder) => Promise<RunResult>,
): Promise<FinishedRun> {
  const { path, options, seed, hashes, backend, flags, reference } = plan;
  const resume = await folder.savedState();
  const afresh = `${path} holds no unfinished run: this one starts from the beginning`;
  if (flags.resume && resume === null) remarks.add(afresh);
  const started = performance.now();
  const progress = terminalProgress(plan.label, terminal, { quiet: flags.quiet || flags.json });
  let savedEpoch = resume?.epoch ?? 0;
  const hooks: RunHooks = {
    onEvent: progress.onEvent,
    signal: terminal.signal,
    save: async (state) => {
      await folder.saveState(state);
      savedEpoch = state.epoch;
    },
    ...(resume === null ? {} : { resume }),
  };
  let result: RunResult;
  try {
    result = await orKept(() => work(hooks, folder), () => savedEpoch);
  } finally {
    progress.end();
  }
  const { zeroShot, final, history, notes = [], reference: document, ...files } = result;
  const recorded = {
    ...files,
    ...(document === undefined ? {} : { documents: { [reference!.file]: document } }),
    run: {
      command: plan.command,
      options,
      seed,
      hashes,
      ...(await backendFacts(backend)),
      zeroShot: { ...zeroShot },
      epochs: history.map(({ metrics, ...record }) => ({ ...record, metrics: rawAndClamped(metrics, {}) })),
      final,
      seconds: (performance.now() - started) / 1000,
      peakMemoryBytes: peakMemoryBytes(),
      notes: [...notes, ...(resume === null ? [] : [`continued after epoch ${resume.epoch}`])],
      remarks: remarks.all.filter((text) => text !== afresh),
    },
  };
  await orKept(() => folder.finish(recorded), () => savedEpoch);
  return {
    path: folder.path,
    zeroShot,
    final: Object.fromEntries(Object.entries(final).map(([name, { raw }]) => [name, raw])),
    epochs: history,
  };
}
