import { Command, CommanderError } from "commander";
import { addAddition } from "./commands/addition.js";
import { addAnalyse } from "./commands/analyse.js";
import { addConvert } from "./commands/convert.js";
import { addCudaSetUp } from "./commands/cuda-setup.js";
import { addDoctor } from "./commands/doctor.js";
import { addEncode } from "./commands/encode.js";
import { addEval } from "./commands/eval.js";
import { addFewShots } from "./commands/few-shots.js";
import { addFinetune } from "./commands/finetune.js";
import { addHead } from "./commands/head.js";
import { addInspect } from "./commands/inspect.js";
import { addMerge } from "./commands/merge.js";
import { addUfm } from "./commands/ufm.js";
import { addNegation } from "./commands/negation.js";
import { addSearch } from "./commands/search.js";
import { describeFailure, EXIT, exitStatus } from "./failure.js";
import { ownVersion } from "./run-facts.js";
import type { Terminal } from "./terminal.js";

const COMMANDS = [
  addDoctor,
  addInspect,
  addConvert,
  addEncode,
  addHead,
  addFinetune,
  addFewShots,
  addUfm,
  addNegation,
  addAddition,
  addSearch,
  addEval,
  addAnalyse,
  addMerge,
  addCudaSetUp,
];

/** The command line, writing to a terminal; throws instead of ending the process. */
export function createProgram(terminal: Terminal): Command {
  const program = new Command("atlas")
    .description("Learn how to combine fine-tuned CLIP models: task vectors with learned anisotropic scaling.")
    .version(ownVersion())
    .exitOverride()
    .showHelpAfterError("(atlas <command> --help shows the flags)")
    .configureOutput({
      writeOut: (text) => {
        terminal.out(text.trimEnd());
      },
      writeErr: (text) => {
        terminal.note(text.trimEnd());
      },
    });
  for (const add of COMMANDS) add(program, terminal);
  for (const command of program.commands) command.exitOverride();
  return program;
}

/**
 * Runs one command line and says on the terminal what failed.
 * @param args without the program's own name.
 * @returns the exit status.
 */
export async function runAtlas(args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    await createProgram(terminal).parseAsync([...args], { from: "user" });
    return EXIT.done;
  } catch (error) {
    // Commander has printed its own message.
    if (!(error instanceof CommanderError)) terminal.note(describeFailure(error));
    return exitStatus(error);
  }
}
