import { InputError } from "@atlas-tv/core";
import { Option, type Command } from "commander";
import { pathToFileURL } from "node:url";
import { packageEntry } from "../plugin-package.js";
import { addSharedFlags, type SharedFlags } from "../shared-flags.js";
import type { Terminal } from "../terminal.js";

interface CudaSetUpFlags extends SharedFlags {
  readonly cpu: boolean;
  readonly tensorflow?: string;
  readonly wheel?: string;
  readonly nodedir?: string;
  readonly runtime?: string;
  readonly force: boolean;
  readonly verbose: boolean;
}

const PACKAGE = "@atlas-tv/backend-cuda";

/** The package is a plug-in, installed by those who have a GPU. */
async function backendCuda(): Promise<typeof import("@atlas-tv/backend-cuda")> {
  const entry = packageEntry(PACKAGE);
  if (entry !== null) return (await import(pathToFileURL(entry).href)) as typeof import("@atlas-tv/backend-cuda");
  throw new InputError({
    where: "atlas cuda-setup",
    got: `${PACKAGE} is not installed`,
    expected: "that package and @tensorflow/tfjs-node-gpu",
    next: `npm install --ignore-scripts ${PACKAGE} @tensorflow/tfjs-node-gpu@4.22.0`,
  });
}

/** `atlas cuda-setup`: fetches TensorFlow and builds the addon that backend-cuda computes with. */
export function addCudaSetUp(program: Command, terminal: Terminal): void {
  const command = program
    .command("cuda-setup")
    .description("fetch TensorFlow for NVIDIA GPUs, and build the addon that the backend cuda needs")
    .option("--cpu", "TensorFlow for the CPU alone, for tests on machines without a GPU", false)
    .addOption(new Option("--tensorflow <dir>", "a TensorFlow that is there: its C library, or tensorflow in site-packages").conflicts(["cpu", "wheel"]))
    .option("--wheel <file>", "a wheel of TensorFlow that was downloaded before")
    .option("--nodedir <dir>", "a folder of Node with include/node (default: node-api-headers)")
    .option("--runtime <dir>", "where runtimes are kept (default: ATLAS_CUDA_RUNTIME, or the user's cache)")
    .option("--force", "build anew what is there", false)
    .option("--verbose", "show what pip and the compiler print", false);
  addSharedFlags(command).action(async (flags: CudaSetUpFlags) => {
    const { setUpRuntime } = await backendCuda();
    const note = (text: string): void => {
      if (!flags.quiet && !flags.json) terminal.note(text);
    };
    const runtime = await setUpRuntime({
      kind: flags.cpu ? "cpu" : "cuda",
      ...(flags.tensorflow === undefined ? {} : { tensorflow: flags.tensorflow }),
      ...(flags.wheel === undefined ? {} : { wheel: flags.wheel }),
      ...(flags.nodedir === undefined ? {} : { nodeFolder: flags.nodedir }),
      ...(flags.runtime === undefined ? {} : { folder: flags.runtime }),
      force: flags.force,
      onProgress: note,
      ...(flags.verbose ? { onLine: (line: string) => { note(`  ${line}`); } } : {}),
      signal: terminal.signal,
    });
    if (flags.json) terminal.out(JSON.stringify(runtime, null, 2));
    else terminal.out(`TensorFlow ${runtime.tensorflow} (${runtime.kind}) is ready in ${runtime.folder}`);
  });
}
