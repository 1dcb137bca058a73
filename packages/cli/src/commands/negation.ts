import type { Command } from "commander";
import { addNegationFlags, negationChoice, type NegationFlags } from "../joint-flags.js";
import { learnFor, type JointLearningFlags } from "../joint-run.js";
import { addLearningFlags, addRegularisationFlag } from "../learning-flags.js";
import { negationRecipe } from "../recipes.js";
import { addRunFlags } from "../run-flags.js";
import { addBackendFlags } from "../shared-flags.js";
import type { Terminal } from "../terminal.js";

/** `atlas negation`: make the model forget the target and keep the control. */
export function addNegation(program: Command, terminal: Terminal): void {
  const command = program.command("negation").description("learn coefficients that forget the target and keep a control");
  addNegationFlags(command)
    .optionsGroup("What is learned:")
    .option("--no-blockwise-coef", "one coefficient for the task vector instead of one a block");
  addRegularisationFlag(addLearningFlags(command));
  addRunFlags(command, "runs/negation/<what is learned>");
  addBackendFlags(command).action((flags: NegationFlags & JointLearningFlags) =>
    learnFor(negationChoice(flags), negationRecipe, flags, terminal),
  );
}
