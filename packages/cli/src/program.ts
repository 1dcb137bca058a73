import { Command, CommanderError } from "commander";
import { describeFailure, EXIT, exitStatus } from "./failure.js";
import { ownVersion } from "./run-facts.js";
import type { Terminal } from "./terminal.js";

type AddCommand = (program: Command, terminal: Terminal) => void;

/** Each in a module of its own, loaded when it is called: most need tfjs and a backend, which take a second to load. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  doctor: async () => (await import("./commands/doctor.js")).addDoctor,
  inspect: async () => (await import("./commands/inspect.js")).addInspect,
  convert: async () => (await import("./commands/convert.js")).addConvert,
  encode: async () => (await import("./commands/encode.js")).addEncode,
  head: async () => (await import("./commands/head.js")).addHead,
  finetune: async () => (await import("./commands/finetune.js")).addFinetune,
  "few-shots": async () => (await import("./commands/few-shots.js")).addFewShots,
  ufm: async () => (await import("./commands/ufm.js")).addUfm,
  negation: async () => (await import("./commands/negation.js")).addNegation,
  addition: async () => (await import("./commands/addition.js")).addAddition,
  search: async () => (await import("./commands/search.js")).addSearch,
  eval: async () => (await import("./commands/eval.js")).addEval,
  analyse: async () => (await import("./commands/analyse.js")).addAnalyse,
  merge: async () => (await import("./commands/merge.js")).addMerge,
  "cuda-setup": async () => (await import("./commands/cuda-setup.js")).addCudaSetUp,
};

/**
 * The command line, writing to a terminal; throws instead of ending the process.
 * @param name the one command that is wanted; with any other name all of them are there.
 */
export async function createProgram(terminal: Terminal, name = ""): Promise<Command> {
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
  const wanted = Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]!] : Object.values(COMMANDS);
  for (const load of wanted) (await load())(program, terminal);
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
    await (await createProgram(terminal, args[0])).parseAsync([...args], { from: "user" });
    return EXIT.done;
  } catch (error) {
    // Commander has printed its own message.
    if (!(error instanceof CommanderError)) terminal.note(describeFailure(error));
    return exitStatus(error);
  }
}
