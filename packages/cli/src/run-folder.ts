import { existsSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  assertWritable,
  hashJson,
  readRun,
  readState,
  writeAdapter,
  writeComposition,
  writeFileAtomically,
  writeRun,
  writeSplits,
  writeState,
  type AdapterArtefact,
  type CompositionArtefact,
  type DatasetSplit,
  type RunRecord,
} from "@atlas-tv/checkpoints";
import { InputError, type LearnerState, type Metrics } from "@atlas-tv/core";
import { RunClaim } from "./run-claim.js";

/** Names in a run folder; docs/formats.md describes what is in them. */
const FILES = {
  run: "run.json",
  composition: "composition.safetensors",
  splits: "splits.json",
  state: "state.safetensors",
  adapter: "adapter.safetensors",
} as const;

/** The folder of a run, and which files in it are the run's. */
interface RunPlace {
  /** The flag that names the folder. */
  readonly flag: string;
  /** In front of the run's own files. */
  readonly prefix: string;
  /** Further files that the run would replace. */
  readonly files: readonly string[];
}

function requireFresh(folder: string, { flag, prefix, files }: RunPlace): void {
  const holds = (file: string): boolean => existsSync(join(folder, file));
  const own = (file: keyof typeof FILES): string => prefix + FILES[file];
  const result = [...files, own("composition"), own("adapter")].find(holds);
  const got = holds(own("run")) ? "a finished run" : holds(own("state")) ? "an unfinished run" : result;
  if (got === undefined) return;
  const goOn = holds(own("run")) ? "print its result again with --resume, " : holds(own("state")) ? "go on with --resume, " : "";
  throw new InputError({
    where: folder,
    got: `a folder that holds ${got}`,
    expected: "a new folder",
    next: `${goOn}give another ${flag}, or remove the folder`,
  });
}

/** Differences that a message names. */
const NAMED_DIFFERENCES = 4;

/** Values longer than this are named without what they are. */
const SHORT_VALUE = 40;

/** What a run depends on, as people compare it: the hashes of its files each by itself. */
function flat({ hashes, ...options }: Readonly<Record<string, unknown>>): Map<string, string> {
  const files = Object.entries((hashes ?? {}) as Record<string, unknown>).map(([name, hash]): [string, unknown] => [`the hash of ${name}`, hash]);
  return new Map([...Object.entries(options), ...files].map(([name, value]) => [name, JSON.stringify(value) ?? "none"]));
}

/** Where a run that was recorded differs from one that is asked for. */
function differences(recorded: Readonly<Record<string, unknown>>, asked: Readonly<Record<string, unknown>>): string {
  const [before, now] = [flat(recorded), flat(asked)];
  const names = [...new Set([...before.keys(), ...now.keys()])].filter((name) => before.get(name) !== now.get(name));
  const named = names.slice(0, NAMED_DIFFERENCES).map((name) => {
    const [was = "none", is = "none"] = [before.get(name), now.get(name)];
    return was.length > SHORT_VALUE || is.length > SHORT_VALUE ? name : `${name} ${was}, not ${is}`;
  });
  return [...named, ...(names.length > named.length ? [`${names.length - named.length} more`] : [])].join("; ");
}

/** A folder that one run writes to: state while it goes on, results when it is done. */
export class RunFolder {
  private constructor(
    readonly path: string,
    private readonly options: Readonly<Record<string, unknown>>,
    readonly optionsHash: string,
    private readonly place: RunPlace,
  ) {}

  /**
   * Opens a folder for a run.
   * @param options whatever the result depends on; a saved state of other options is refused.
   * @throws InputError when it cannot be written, or holds results and `resume` was not asked for.
   */
  static async open(
    path: string,
    options: Readonly<Record<string, unknown>>,
    resume: boolean,
    place: RunPlace,
  ): Promise<RunFolder> {
    const folder = resolve(path);
    await assertWritable(folder);
    if (!resume) requireFresh(folder, place);
    return new RunFolder(folder, options, await hashJson(options), place);
  }

  at(file: keyof typeof FILES): string {
    return join(this.path, this.place.prefix + FILES[file]);
  }

  get isFinished(): boolean {
    return existsSync(this.at("run"));
  }

  /** Keeps other processes out of the folder until the claim is released. @throws InputError when one is at work in it. */
  claim(): Promise<RunClaim> {
    return RunClaim.take(join(this.path, `.${this.place.prefix}run.lock`), this.place.flag);
  }

  /** Takes away the state that a run leaves when it is killed at its very end. */
  removeState(): void {
    rmSync(this.at("state"), { force: true });
  }

  /** What a finished run recorded, metrics raw. @throws InputError when it was begun with other options. */
  async finishedRun(): Promise<{ zeroShot: Metrics; final: Metrics; epochs: RunRecord["epochs"]; remarks: readonly string[] }> {
    const run = await readRun(this.at("run"));
    const { seed, hashes, backend, options } = run;
    const recorded = { ...options, seed, hashes, backend: backend.id };
    if ((await hashJson(recorded)) !== this.optionsHash) {
      throw new InputError({
        where: this.at("run"),
        got: `a finished run with other options, data or weights: ${differences(recorded, this.options)}`,
        expected: "the options that the run was begun with",
        next: "give the same flags as before, or another folder",
      });
    }
    return {
      zeroShot: run.zeroShot,
      final: Object.fromEntries(Object.entries(run.final).map(([name, { raw }]) => [name, raw])),
      epochs: run.epochs,
      remarks: run.remarks ?? [],
    };
  }

  /** The state of an unfinished run, or null. @throws InputError when it was begun with other options. */
  async savedState(): Promise<LearnerState | null> {
    if (!existsSync(this.at("state"))) return null;
    const { state, optionsHash } = await readState(this.at("state"));
    if (optionsHash === this.optionsHash) return state;
    throw new InputError({
      where: this.at("state"),
      got: "the state of a run with other options, data or weights",
      expected: "the options that the run was begun with",
      next: "give the same flags as before, or another folder",
    });
  }

  async saveState(state: LearnerState): Promise<void> {
    await writeState(this.at("state"), { optionsHash: this.optionsHash, state });
  }

  /** Writes the results, `run.json` last: a folder that has it is finished. */
  async finish(results: {
    composition?: CompositionArtefact;
    splits?: readonly DatasetSplit[];
    /** Fitted to features of the composition beside it; without one, of the base model. */
    adapter?: Omit<AdapterArtefact, "composition">;
    /** Further JSON files, by name. */
    documents?: Readonly<Record<string, unknown>>;
    run: RunRecord;
  }): Promise<void> {
    if (results.splits !== undefined) await writeSplits(this.at("splits"), results.splits);
    const composition = results.composition === undefined ? null : await writeComposition(this.at("composition"), results.composition);
    if (results.adapter !== undefined) {
      await writeAdapter(this.at("adapter"), { ...results.adapter, composition: composition?.sha256 ?? null });
    }
    for (const [name, content] of Object.entries(results.documents ?? {})) {
      await writeFileAtomically(join(this.path, name), [`${JSON.stringify(content, null, 2)}\n`]);
    }
    await writeRun(this.at("run"), results.run);
    this.removeState();
  }
}
