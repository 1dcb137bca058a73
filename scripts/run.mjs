/** `node scripts/run.mjs NAME ARGS…`: sets the checkout up and runs the command of that name. */
import { existsSync, readdirSync } from "node:fs";
import { join, relative } from "node:path";
import { pathToFileURL } from "node:url";
import { setUpBrowser } from "./browser.mjs";
import { runChild } from "./child.mjs";
import { withLock } from "./setup-lock.mjs";
import { parity } from "./parity.mjs";
import { endWith, setUp } from "./setup.mjs";
import { runTests } from "./test-run.mjs";
import { CACHE, findPnpm, ROOT, runTool, say, SetupError } from "./toolchain.mjs";
import { setUpWebGpu } from "./webgpu.mjs";

/** The folder that npm was called in: relative paths are the caller's. */
const callerFolder = process.env.INIT_CWD ?? process.cwd();

/** Where this checkout keeps TensorFlow's runtime, which backend-cuda otherwise has in the user's cache. */
process.env.ATLAS_CUDA_RUNTIME ??= join(CACHE, "cuda-runtime");

/** What runs on TensorFlow: the tests of backend-cuda, and the numeric tests of adapters, objectives and partitions. */
const CUDA_TESTS = ["packages/backend-cuda/", "tip.fixtures", "lpp.fixtures", "ufm.fixtures", "partition.fixtures"];

const tool = (name, file) => join(ROOT, "node_modules", name, file);
const node = (args, options = {}) => runChild(process.execPath, args, { cwd: ROOT, ...options });

/** Runs a program of ours in this very process: its exit status and signals are ours. */
async function program(path, args) {
  const file = join(ROOT, path);
  if (!existsSync(file)) throw new SetupError(`${path} does not exist: its package was not built.`);
  process.chdir(callerFolder);
  process.argv = [process.argv[0], file, ...args];
  try {
    await import(pathToFileURL(file).href);
  } catch (error) {
    if (!/^ERR_PARSE_ARGS_/.test(error?.code)) throw error;
    const page = `${path.split("/").slice(0, 2).join("/")}/README.md`;
    throw Object.assign(new Error(`flags\n  got: ${error.message}\n  expected: flags that ${page} names`, { cause: error }), { name: "InputError" });
  }
}

async function lint(args) {
  const eslint = await node([tool("eslint", "bin/eslint.js"), ...(args.length === 0 ? ["."] : args)]);
  const types = await node([tool("typescript", "bin/tsc"), "--project", "tsconfig.test.json"]);
  return eslint === 0 && types === 0 ? 0 : 1;
}

/** Runs a part of the zoo's builder, on picture packages that nothing else needs: they are installed here and nowhere else. */
async function zooProgram(name, args) {
  const pictures = join(ROOT, "packages", "zoo", "pictures");
  const [command, ...prefix] = await findPnpm();
  say("Installing the picture packages …");
  const flags = ["--ignore-workspace", "--frozen-lockfile", "--ignore-scripts", "--reporter=append-only", "--config.confirm-modules-purge=false"];
  const status = await runTool(command, [...prefix, "install", ...flags], { cwd: pictures });
  if (status !== 0) throw new SetupError(`pnpm install ended with ${status} in ${relative(ROOT, pictures)}; its message stands above.`);
  const compiled = await runTool(process.execPath, [tool("typescript", "bin/tsc"), "--build", "--pretty", "false", join("packages", "zoo", "tsconfig.build.json")]);
  if (compiled !== 0) throw new SetupError(`packages/zoo/build does not compile (tsc ended with ${compiled}); the errors stand above.`);
  return program(`packages/zoo/dist-build/${name}.js`, args);
}

/** Fetches and builds TensorFlow's runtime for the CPU into the cache, for the tests of backend-cuda. */
function setUpCudaRuntime(args) {
  const atlas = ["packages/cli/dist/main.js", "cuda-setup", "--cpu", ...args];
  return withLock(join(CACHE, "cuda-runtime.lock"), () => node(atlas));
}

async function testCudaRuntime(args) {
  const status = await setUpCudaRuntime([]);
  return status === 0 ? runTests([...CUDA_TESTS, ...args], callerFolder) : status;
}

/** Kills every command that learns at random moments, more often than `npm test` does. */
function checkInterruptions(args) {
  process.env.ATLAS_KILLS ??= "20";
  return runTests(["packages/cli/test/interruptions.test.ts", ...args], callerFolder);
}

/** What `npm run bench -- SUBJECT` measures; the CPU backend without a subject. */
const BENCHES = {
  cpu: "packages/backend-cpu/bench/main.mjs",
  checkpoints: "packages/checkpoints/bench/read.mjs",
};

/** A subject, or `--backend NAME`: a training step on that backend. */
function bench(args) {
  if (args.some((argument) => /^--backend(=|$)/.test(argument))) return program("scripts/backend-bench.mjs", args);
  const own = BENCHES[args[0]];
  return own === undefined ? program(BENCHES.cpu, args) : program(own, args.slice(1));
}

/** Every example by name, with its program: built by one of its own where it runs in a browser. */
function examplePrograms() {
  return readdirSync(join(ROOT, "examples")).flatMap((name) => {
    const path = ["build/main.mjs", "dist/main.js"].map((file) => `examples/${name}/${file}`).find((file) => existsSync(join(ROOT, file)));
    return path === undefined ? [] : [[name, path]];
  });
}

function example([name, ...args]) {
  const programs = new Map(examplePrograms());
  const path = programs.get(name);
  if (path !== undefined) return program(path, args);
  throw new SetupError(`npm run example\n  got: ${name ?? "no name"}\n  expected: npm run example -- NAME, one of ${[...programs.keys()].join(", ")}`);
}

const COMMANDS = {
  atlas: (args) => program("packages/cli/dist/main.js", args),
  demo: (args) => program("examples/few-shots/dist/main.js", args),
  example,
  sweep: (args) => program("examples/sweep/dist/main.js", args),
  "browser-example": (args) => program("examples/browser/build/main.mjs", args),
  bench,
  zoo: (args) => zooProgram("main", args),
  "zoo:data": (args) => zooProgram("data", args),
  build: () => say("The packages are built."),
  test: (args) => runTests(args, callerFolder),
  "test:fixtures": (args) => runTests([".fixtures.test.ts", ...args], callerFolder),
  "check:interruptions": checkInterruptions,
  "check:packages": (args) => runTests(["test/packages/", ...args], callerFolder),
  "setup:cuda": setUpCudaRuntime,
  "test:cuda-runtime": testCudaRuntime,
  parity: (args) => parity(args, callerFolder),
  lint,
  changeset: (args) => node([tool("@changesets/cli", "bin.js"), ...args]),
};

/** Commands that need neither dependencies nor a build. */
const BARE_COMMANDS = { "setup:browser": setUpBrowser, "setup:webgpu": setUpWebGpu };

async function main([name, ...args]) {
  const bare = BARE_COMMANDS[name];
  const command = COMMANDS[name];
  if (bare === undefined && command === undefined) {
    throw new SetupError(`command\n  got: ${name ?? "none"}\n  expected: one of ${[...Object.keys(COMMANDS), ...Object.keys(BARE_COMMANDS)].join(", ")}`);
  }
  if (bare === undefined) await setUp();
  const status = await (bare ?? command)(args);
  if (typeof status === "number") process.exitCode = status;
}

await main(process.argv.slice(2)).catch(endWith);
