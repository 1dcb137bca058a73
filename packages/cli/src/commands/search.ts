import { join } from "node:path";
import type { Command } from "commander";
import { compositionById } from "../compositions.js";
import { numberFlag } from "../flags.js";
import { resumable } from "../interruption.js";
import { addAdditionFlags, additionChoice, addNegationFlags, negationChoice, type AdditionFlags, type NegationFlags } from "../joint-flags.js";
import { printJointRuns } from "../joint-output.js";
import { goalText, prepareJointRun, type JointChoice } from "../joint-run.js";
import { runScalarSearch, type ScalarSearchFlags } from "../scalar-run.js";
import { addBackendFlags } from "../shared-flags.js";
import { Remarks, type Terminal } from "../terminal.js";

async function search(choice: JointChoice, flags: ScalarSearchFlags, terminal: Terminal): Promise<void> {
  const remarks = new Remarks(terminal, flags.json);
  const composition = compositionById("isotropic", "atlas search");
  const options = { includeLeftovers: false };
  const prepared = await prepareJointRun(choice, composition, flags, options, remarks, terminal.signal);
  const { goal } = prepared.setup;
  const path = flags.run ?? join("runs", "search", [goal.id, goalText(goal), flags.finetuningMode].join("-"));
  const run = await resumable(() => runScalarSearch(prepared, flags, path, remarks, terminal));
  printJointRuns(prepared.setup, [run], "one scalar", flags, remarks.all, terminal);
}

function addSearchFlags(command: Command): Command {
  command
    .optionsGroup("How it is searched:")
    .option(
      "--points <n>",
      "coefficients from 0 to 1 that are tried",
      numberFlag("--points", (value) => Number.isInteger(value) && value >= 2, "a whole number from 2"),
      21,
    )
    .optionsGroup("Runs:")
    .option("--run <dir>", "folder for results (default: runs/search/<what is searched>)")
    .option("--resume", "go on with the unfinished run in that folder", false);
  return addBackendFlags(command);
}

/** `atlas search`: the baseline with one coefficient for all (Ilharco et al. 2022), found on validation images. */
export function addSearch(program: Command, terminal: Terminal): void {
  const command = program.command("search").description("find the best single coefficient on a grid, as a baseline");
  const negation = command.command("negation").description("θ0 − α τ that forgets the target and keeps a control");
  addNegationFlags(negation);
  addSearchFlags(negation).action((flags: ScalarSearchFlags & NegationFlags) => search(negationChoice(flags), flags, terminal));
  const addition = command.command("addition").description("θ0 + α Σ τᵢ that is good at several tasks");
  addAdditionFlags(addition);
  addSearchFlags(addition).action((flags: ScalarSearchFlags & AdditionFlags) => search(additionChoice(flags), flags, terminal));
}
