import { Command } from "commander";
import { addDoctor } from "./commands/doctor.js";
import { addEval } from "./commands/eval.js";
import { addFewShots } from "./commands/few-shots.js";
import { addFinetune } from "./commands/finetune.js";
import { addInspect } from "./commands/inspect.js";
import { addMerge } from "./commands/merge.js";
import { ownVersion } from "./run-facts.js";
import type { Terminal } from "./terminal.js";

const COMMANDS = [addDoctor, addInspect, addFinetune, addFewShots, addEval, addMerge];

/** The command line, writing to a terminal; throws instead of ending the process. */
export function createProgram(terminal: Terminal): Command {
  const program = new Command("atlas")
    .description("Learn how to combine fine-tuned CLIP models: task vectors with learned anisotropic scaling.")
    .version(ownVersion())
    .exitOverride()
    .showHelpAfterError("(atlas <command> --help shows the flags)")
    .configureOutput({ writeOut: (text) => { terminal.out(text.trimEnd()); }, writeErr: (text) => { terminal.note(text); } });
  for (const add of COMMANDS) add(program, terminal);
  for (const command of program.commands) command.exitOverride();
  return program;
}
