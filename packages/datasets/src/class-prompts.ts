import { InputError } from "@atlas-tv/core";
import { nameKey } from "./name-key.js";

/** Class names and prompt templates of a data set, as published. */
export interface ClassPrompts {
  readonly name: string;
  /** In the order of the data set's labels. */
  readonly classNames: readonly string[];
  /** With `{}` for the class name. */
  readonly templates: readonly string[];
  /** Where both come from, and under which licence. */
  readonly source: string;
  /** What the order of the labels follows. */
  readonly order: string;
}

type Load = () => Promise<{ readonly default: ClassPrompts }>;

/** The 22 data sets of the paper, each loaded when asked for. */
const PROMPTS: Readonly<Record<string, Load>> = {
  Cars: () => import("./prompts/Cars.json", { with: { type: "json" } }),
  DTD: () => import("./prompts/DTD.json", { with: { type: "json" } }),
  EuroSAT: () => import("./prompts/EuroSAT.json", { with: { type: "json" } }),
  GTSRB: () => import("./prompts/GTSRB.json", { with: { type: "json" } }),
  MNIST: () => import("./prompts/MNIST.json", { with: { type: "json" } }),
  RESISC45: () => import("./prompts/RESISC45.json", { with: { type: "json" } }),
  SUN397: () => import("./prompts/SUN397.json", { with: { type: "json" } }),
  SVHN: () => import("./prompts/SVHN.json", { with: { type: "json" } }),
  CIFAR10: () => import("./prompts/CIFAR10.json", { with: { type: "json" } }),
  CIFAR100: () => import("./prompts/CIFAR100.json", { with: { type: "json" } }),
  ImageNet: () => import("./prompts/ImageNet.json", { with: { type: "json" } }),
  STL10: () => import("./prompts/STL10.json", { with: { type: "json" } }),
  Food101: () => import("./prompts/Food101.json", { with: { type: "json" } }),
  Caltech101: () => import("./prompts/Caltech101.json", { with: { type: "json" } }),
  Caltech256: () => import("./prompts/Caltech256.json", { with: { type: "json" } }),
  FGVCAircraft: () => import("./prompts/FGVCAircraft.json", { with: { type: "json" } }),
  Flowers102: () => import("./prompts/Flowers102.json", { with: { type: "json" } }),
  OxfordIIITPet: () => import("./prompts/OxfordIIITPet.json", { with: { type: "json" } }),
  CUB200: () => import("./prompts/CUB200.json", { with: { type: "json" } }),
  PascalVOC: () => import("./prompts/PascalVOC.json", { with: { type: "json" } }),
  Country211: () => import("./prompts/Country211.json", { with: { type: "json" } }),
  UCF101: () => import("./prompts/UCF101.json", { with: { type: "json" } }),
};

/** The data sets whose class names and templates come along. */
export function classPromptNames(): string[] {
  return Object.keys(PROMPTS);
}

/** The published name of a data set, whatever capitals, hyphens or underscores it is written with; null for others. */
export function classPromptName(name: string): string | null {
  return classPromptNames().find((candidate) => nameKey(candidate) === nameKey(name)) ?? null;
}

/**
 * Class names and templates of one of the paper's data sets.
 * @throws InputError listing the names there are.
 */
export async function classPrompts(name: string): Promise<ClassPrompts> {
  const known = classPromptName(name);
  if (known !== null) return (await PROMPTS[known]!()).default;
  throw new InputError({
    where: `class names of "${name}"`,
    got: "a data set whose class names do not come along",
    expected: `one of ${classPromptNames().join(", ")}`,
    next: "give class names and templates of your own",
  });
}
