import { InputError } from "@atlas-tv/core";
import type { Command } from "commander";
import { addFinetuningModeFlag } from "./finetuning-mode.js";
import { count, list, numberFlag } from "./flags.js";
import { additionGoal, negationGoal } from "./goal.js";
import type { JointChoice, JointFlags } from "./joint-run.js";
import { addModelFlags, addTargetFlags, dataLocationFlag } from "./shared-flags.js";

export interface NegationFlags extends JointFlags {
  readonly target: string;
  readonly control?: string;
  readonly controlThreshold: number;
}

export interface AdditionFlags extends JointFlags {
  readonly targets?: readonly string[];
}

function addJointFlags(command: Command): Command {
  addFinetuningModeFlag(command.optionsGroup("Model and data:"));
  return command
    .option("--images <n>", "validation images used of each data set (default: all)", count("--images"))
    .option("--save <dir>", "also add the results to <dir>/<model>/, in the reference's JSON layout");
}

/** Flags that say what is forgotten, and what must not be. */
export function addNegationFlags(command: Command): Command {
  addTargetFlags(command).option("--control <name or path>", "the data set whose accuracy must be kept");
  return addJointFlags(command).option(
    "--control-threshold <share>",
    "of the control's zero-shot accuracy that must be kept",
    numberFlag("--control-threshold", (value) => value >= 0 && value <= 1, "a number from 0 to 1"),
    0.95,
  );
}

/** Flags that say which tasks one model shall be good at. */
export function addAdditionFlags(command: Command): Command {
  addModelFlags(command)
    .option("--targets <names>", "the tasks, separated by commas (default: all that the model has task vectors of)", list)
    .addOption(dataLocationFlag());
  return addJointFlags(command);
}

/** Negation takes the target's own task vector. @throws InputError without a control. */
export function negationChoice({ target, control, controlThreshold }: NegationFlags): JointChoice {
  if (control === undefined) {
    throw new InputError({
      where: "--control",
      got: "no control data set",
      expected: "a data set whose accuracy must be kept",
      next: "for example --control FashionMNIST",
    });
  }
  return {
    targets: () => [target, control],
    goal: ([targetName = "", controlName = ""]) => negationGoal(targetName, controlName, controlThreshold),
  };
}

/** Addition takes the task vectors of all its tasks. */
export function additionChoice({ targets }: AdditionFlags): JointChoice {
  return { targets: (tasks) => targets ?? tasks, goal: additionGoal };
}
