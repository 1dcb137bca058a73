import { join } from "node:path";

/** Names that `run.json` gives to what is measured, and those that the table gives. */
export type Metrics = Readonly<Record<string, string>>;

/** One way to reach an experiment's goal. */
export interface Method {
  readonly name: string;
  /** Arguments of `atlas` beside those of the experiment. */
  readonly args: readonly string[];
  /** In place of the experiment's command: the baseline of another command. */
  readonly command?: readonly string[];
  /** In place of the experiment's metrics. */
  readonly metrics?: Metrics;
  /** The method whose run, which has the same arguments, measures this one as well. */
  readonly measuredBy?: string;
  /** False where nothing is drawn at random: one run stands for every seed. */
  readonly seeded?: boolean;
}

/** One command of `atlas`, over tasks, settings and methods. */
export interface Experiment {
  readonly id: string;
  readonly title: string;
  readonly command: readonly string[];
  readonly tasks: readonly string[];
  /** What varies beside task and method, for example k; a single "" where nothing does. */
  readonly settings: readonly string[];
  /** Of the column of settings. */
  readonly settingTitle: string;
  readonly methods: readonly Method[];
  readonly metrics: Metrics;
  /** The tasks that `--brief` keeps; default all. */
  readonly brief?: readonly string[];
  args(task: string, setting: string): readonly string[];
}

/** One run of `atlas` for one method: what the sweep computes, keeps and resumes. Methods may share a run. */
export interface Cell {
  readonly experiment: Experiment;
  readonly task: string;
  readonly setting: string;
  readonly method: Method;
  /** Null where nothing is drawn at random. */
  readonly seed: number | null;
  /** Arguments of `atlas`, but for the folder of the run. */
  readonly args: readonly string[];
  /** Of the run, below the folder of the sweep. */
  readonly path: string;
}

/** A name as a folder's. */
function folderName(text: string): string {
  return text.replaceAll("×", "x").replaceAll("++", "pp").replaceAll(/[^A-Za-z0-9.]+/g, "-").replaceAll(/^-|-$/g, "");
}

function cellOf(experiment: Experiment, task: string, setting: string, method: Method, seed: number | null): Cell {
  const { id, settingTitle, command } = experiment;
  const at = setting === "" ? [] : [folderName(`${settingTitle} ${setting}`)];
  return {
    experiment, task, setting, method, seed,
    args: [
      ...(method.command ?? command), ...experiment.args(task, setting), ...method.args,
      ...(seed === null ? [] : ["--seed", String(seed)]),
    ],
    path: join(id, folderName(task), ...at, folderName(method.measuredBy ?? method.name), seed === null ? "search" : `seed-${seed}`),
  };
}

/** All runs, those of the first seed first: a sweep that is stopped early has a table of everything. */
export function cellsOf(experiments: readonly Experiment[], seeds: readonly number[]): Cell[] {
  return seeds.flatMap((seed, round) => experiments.flatMap((experiment) =>
    experiment.tasks.flatMap((task) => experiment.settings.flatMap((setting) => experiment.methods.flatMap((method) => {
      if (method.seeded !== false) return [cellOf(experiment, task, setting, method, seed)];
      return round === 0 ? [cellOf(experiment, task, setting, method, null)] : [];
    })))));
}
