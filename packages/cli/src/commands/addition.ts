import type { Command } from "commander";
import { addAdditionFlags, additionChoice, type AdditionFlags } from "../joint-flags.js";
import { learnFor, type JointLearningFlags } from "../joint-run.js";
import { addLearningFlags, addRegularisationFlag } from "../learning-flags.js";
import { additionRecipe } from "../recipes.js";
import { addRunFlags } from "../run-flags.js";
import { addBackendFlags } from "../shared-flags.js";
import type { Terminal } from "../terminal.js";

/** `atlas addition`: one model for several tasks. */
export function addAddition(program: Command, terminal: Terminal): void {
  const command = program.command("addition").description("learn coefficients that make one model good at several tasks");
  addAdditionFlags(command)
    .optionsGroup("What is learned:")
    .option("--no-blockwise-coef", "one coefficient a task vector instead of one a task vector and block");
  addRegularisationFlag(addLearningFlags(command));
  addRunFlags(command, "runs/addition/<what is learned>");
  addBackendFlags(command).action((flags: AdditionFlags & JointLearningFlags) =>
    learnFor(additionChoice(flags), additionRecipe, flags, terminal),
  );
}
