import { existsSync } from "node:fs";
import { cpus } from "node:os";
import {
  compileDefault, InputError, ResidentBase,
  type Backend, type BackendReport, type CompiledEncoder, type CompileOptions, type Composition, type EncoderSpec,
  type NamedHostTensors, type TaskVector,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { missingGpuParts, nvidiaGpus } from "./gpu-parts.js";
import { ResidentBlockStore } from "./resident-block-store.js";
import { addonPackage, findRuntime, runtimeFolder, type Runtime } from "./runtime-folder.js";
import { loadTensorFlow, TFJS_BACKEND, type LoadedTensorFlow } from "./tensorflow-addon.js";
import { ADDON_PACKAGE, RELEASE } from "./tensorflow-release.js";

export interface CudaBackendOptions {
  /** Compute on the CPU where there is no GPU; without this the backend refuses to. Default false. */
  readonly allowCpu?: boolean;
  /** Folder of runtimes; default the environment's `ATLAS_CUDA_RUNTIME`, then one in the user's cache. */
  readonly runtime?: string;
  /**
   * Where base and task vectors are kept. "device", the default: half floats stay half floats, and nothing is uploaded twice.
   * "host": one block at a time is uploaded at every step, for what the GPU's memory does not hold.
   */
  readonly vectors?: "device" | "host";
}

const SET_UP = "run `npx atlas cuda-setup`";

/** TensorFlow as far as it was found and loaded, and what is missing of it. */
interface Findings {
  readonly runtime: Runtime | null;
  readonly tensorflow: LoadedTensorFlow | null;
  readonly missing: readonly string[];
}

/** Finds and loads TensorFlow. */
function load(folder: string): Findings {
  const found = addonPackage();
  const runtime = findRuntime(folder);
  const lacking = (...missing: string[]): Findings => ({ runtime, tensorflow: null, missing });
  if (found === null) return lacking(`the npm package ${ADDON_PACKAGE}: run \`npm install --ignore-scripts ${ADDON_PACKAGE}@4.22.0\``);
  if (runtime === null) {
    return lacking(
      `the addon of ${ADDON_PACKAGE} ${found.version}: wanted in ${folder} or in the package's lib/napi-v8, found in neither; ${SET_UP}, which builds it`,
      `libtensorflow: wanted ${RELEASE.version}, found none; the same command fetches it`,
    );
  }
  if (runtime.addonVersion !== found.version) {
    return lacking(`the addon: wanted one built from ${ADDON_PACKAGE} ${found.version}, found one of ${runtime.addonVersion}; ${SET_UP}`);
  }
  const absent = [runtime.addon, ...runtime.libraries].filter((path) => !existsSync(path));
  if (absent.length > 0) return lacking(`libtensorflow ${runtime.tensorflow}: wanted ${absent.join(", ")}, found nothing there; ${SET_UP}`);
  try {
    return { runtime, tensorflow: loadTensorFlow(runtime), missing: [] };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    return lacking(`libtensorflow ${runtime.tensorflow}: it does not load (${reason}); ${SET_UP}`);
  }
}

/** What keeps TensorFlow from a GPU. */
async function missingForGpu(folder: string, { runtime, tensorflow }: Findings): Promise<string[]> {
  const parts = await missingGpuParts(runtime?.cuda ?? RELEASE.cuda, runtime?.folder ?? folder);
  if (runtime?.cuda === null) return [`TensorFlow for CUDA: the one in ${runtime.folder} is built for the CPU alone; ${SET_UP}`, ...parts];
  if (parts.length > 0 || tensorflow === null) return parts;
  return ["a GPU that TensorFlow can use: driver and libraries are there; TF_CPP_MIN_LOG_LEVEL=0 shows TensorFlow's own reasons"];
}

/** TensorFlow's kernels through `@tensorflow/tfjs-node-gpu`: the default implementation on an NVIDIA GPU, which keeps the task vectors. */
export class CudaBackend implements Backend {
  readonly id = "cuda";

  constructor(readonly options: CudaBackendOptions = {}) {}

  /** Loads TensorFlow into this process where it is there: only that tells whether it can use the GPU. */
  async probe(): Promise<BackendReport> {
    const { allowCpu = false, runtime: folder = runtimeFolder() } = this.options;
    const findings = load(folder);
    const { runtime, tensorflow } = findings;
    const gpus = (await nvidiaGpus()) ?? [];
    const onGpu = tensorflow?.gpu === true;
    const missing = onGpu || allowCpu ? findings.missing : [...findings.missing, ...(await missingForGpu(folder, findings))];
    const onCpu = tensorflow !== null && !onGpu && allowCpu;
    return {
      usable: missing.length === 0,
      device: onCpu ? `${cpus()[0]?.model.trim() ?? "the CPU"}, as asked for: no GPU is used` : (gpus[0]?.name ?? "no NVIDIA GPU"),
      versions: {
        ...(tensorflow === null ? {} : { tensorflow: tensorflow.version }),
        ...(runtime === null ? {} : { [ADDON_PACKAGE]: runtime.addonVersion }),
        ...(runtime?.cuda == null ? {} : { cuda: runtime.cuda.cuda, cudnn: runtime.cuda.cudnn }),
        ...(gpus.length === 0 ? {} : { driver: gpus[0]!.driver }),
        "@tensorflow/tfjs-core": tf.version_core,
      },
      missing,
    };
  }

  /** @throws InputError when something is missing, or when there is no GPU and `allowCpu` was not given. */
  async activate(): Promise<void> {
    const { usable, missing } = await this.probe();
    if (!usable) {
      throw new InputError({
        where: 'backend "cuda"',
        got: missing.map((part) => `missing ${part}`).join("; "),
        expected: "TensorFlow on an NVIDIA GPU",
        next: "follow the above, or choose another backend; to compute on the CPU all the same, give allowCpu (ATLAS_CUDA_ALLOW_CPU=1)",
      });
    }
    if (!(await tf.setBackend(TFJS_BACKEND))) throw new Error('backend "cuda": tfjs cannot start its backend "tensorflow"');
  }

  async compile(
    spec: EncoderSpec,
    base: NamedHostTensors,
    vectors: readonly TaskVector[],
    composition: Composition,
    options: CompileOptions = {},
  ): Promise<CompiledEncoder> {
    if (tf.getBackend() !== TFJS_BACKEND) await this.activate();
    if (this.options.vectors === "host") return compileDefault(spec, base, vectors, composition, options);
    const residentBase = new ResidentBase(base);
    return compileDefault(spec, base, vectors, composition, { ...options, store: (_base, own) => new ResidentBlockStore(residentBase, own) });
  }
}
