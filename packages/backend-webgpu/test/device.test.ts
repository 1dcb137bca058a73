import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { visionSpec } from "@atlas-tv/clip";
import { blockwise, encode, InputError, lossAndGradients, PlainBackend, Random, randomParameters, type Backend, type TaskVector } from "@atlas-tv/core";
import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import "../../core/test/plain-backends.js";
import { DeviceWatch } from "../src/device-watch.js";
import { requireOneCore } from "../src/graphics-backend.js";
import { WebGpuBackend } from "../src/node.js";
import { onWebGpu } from "./node-device.js";

const execute = promisify(execFile);
const LEAK_STEPS = 100;

/** Bytes of a buffer that holds every block of the model below and the activations of two images, but not all vectors. */
const ENOUGH_FOR_TWO_ROWS = 600;

/** Sides that are odd, so that packed pairs do not fit evenly. */
const spec = visionSpec({
  embed_dim: 5,
  quick_gelu: true,
  vision_cfg: { image_size: 4, layers: 1, width: 3, head_width: 3, patch_size: 2 },
  text_cfg: { context_length: 4, vocab_size: 8, width: 4, heads: 2, layers: 1 },
});
const base = randomParameters(spec, new Random("base"));

/** The same without its residual block: a hundred steps are soon done. */
const shallow = { ...spec, layers: 0, blocks: spec.blocks.filter(({ name }) => !name.includes("resblocks")) };
const images = { data: Float32Array.from({ length: 2 * 4 * 4 * 3 }, (_, i) => Math.sin(i)), shape: [2, 4, 4, 3] };

/** Half floats of every kind: ordinary, subnormal, zero, of both signs. */
function vectors(n: number, blocks = spec.blocks): TaskVector[] {
  const random = new Random("vectors");
  return Array.from({ length: n }, (_, v) => ({
    name: String(v),
    blocks: new Map(blocks.map(({ name, shape }) => {
      const size = shape.reduce((product, side) => product * side, 1);
      const data = Uint16Array.from({ length: size }, (_value, i) => (i % 3 === 0 ? random.below(0x400) : 0x2400 + random.below(0x800)) | (random.below(2) << 15));
      return [name, { dtype: "F16", shape, data }];
    })),
  }));
}

function squares([features]: tf.Tensor2D[]): tf.Scalar {
  return tf.sum(tf.square(features!));
}

/** Features and coefficient gradients on a backend, with coefficients that make the smallest halves count. */
async function measured(backend: Backend, n: number): Promise<{ features: Float32Array; gradient: Float32Array }> {
  await backend.activate();
  const encoder = await backend.compile(spec, base, vectors(n), blockwise());
  const composed = await encoder.compose({ coef: Float32Array.from({ length: n * spec.blocks.length }, (_, i) => 500 * Math.cos(i)) });
  const tensor = await encode(composed, images);
  const features = Float32Array.from(await tensor.data());
  tensor.dispose();
  const { encoders } = await lossAndGradients([{ ...images, encoder: composed }], squares);
  composed.dispose();
  encoder.dispose();
  return { features, gradient: encoders.get(composed)!["coef"]! };
}

/** Runs a program of a few lines in a process of its own; `backend` and `tf` are there. */
async function inProcess(body: string, env: NodeJS.ProcessEnv = {}): Promise<{ code: number; out: string }> {
  const program = `import { WebGpuBackend } from "@atlas-tv/backend-webgpu";
    import * as tf from "@tensorflow/tfjs-core";
    const backend = new WebGpuBackend();
    ${body}`;
  const cwd = fileURLToPath(new URL("..", import.meta.url));
  try {
    const { stdout } = await execute(process.execPath, ["--input-type=module", "--eval", program], { cwd, env: { ...process.env, ...env }, timeout: 240_000 });
    return { code: 0, out: stdout };
  } catch (error) {
    const { code, stdout } = error as { code: number; stdout: string };
    return { code, out: stdout };
  }
}

describe("without what it needs", () => {
  it("says that there is no adapter, and what to do", async () => {
    const { code, out } = await inProcess(`
      const { usable, missing } = await backend.probe();
      console.log(usable, missing.join());
      await backend.activate().catch((error) => console.log(error.name, error.message));
    `, { VK_ICD_FILENAMES: "/nowhere.json", VK_DRIVER_FILES: "/nowhere.json" });
    expect(code).toBe(0);
    if (process.platform === "linux") {
      expect(out).toMatch(/^false a graphics adapter: .*VK_ICD_FILENAMES/);
      expect(out).toMatch(/InputError backend "webgpu"\s+got: WebGPU without an adapter/);
    }
  });

  it("says that there are two copies of tfjs-core", () => {
    class ForeignBackend {}
    expect(() => requireOneCore(ForeignBackend)).toThrow(/two copies of @tensorflow\/tfjs-core[\s\S]*dedupe/);
    expect(() => requireOneCore()).not.toThrow();
  });

  it("refuses options that are none", () => {
    expect(() => new WebGpuBackend({ maxBufferBytes: 0 })).toThrow(InputError);
  });
});

onWebGpu("the device", (backend) => {
  describe("task vectors on the device", () => {
    it("give the same whether they lie in one buffer or in several, to the last halves", async () => {
      const wanted = await measured(new PlainBackend("cpu"), 11);
      for (const own of [backend, new WebGpuBackend({ maxBufferBytes: ENOUGH_FOR_TWO_ROWS })]) {
        const got = await measured(own, 11);
        for (const name of ["features", "gradient"] as const) {
          const scale = Math.max(...wanted[name].map(Math.abs));
          const error = Math.max(...wanted[name].map((value, i) => Math.abs(value - got[name][i]!))) / scale;
          expect(error, name).toBeLessThan(1e-5);
        }
      }
    });

    it("give the same bits again", async () => {
      expect(await measured(backend, 3)).toEqual(await measured(backend, 3));
    });
  });

  it(`keeps tensors and buffers flat over ${LEAK_STEPS} steps`, async () => {
    await backend.activate();
    const before = tf.memory().numTensors;
    const encoder = await backend.compile(shallow, randomParameters(shallow, new Random(1)), vectors(2, shallow.blocks), blockwise());
    const counts: object[] = [];
    for (let step = 0; step < LEAK_STEPS; step++) {
      const composed = await encoder.compose({ coef: new Float32Array(2 * shallow.blocks.length).fill(step / LEAK_STEPS) });
      await lossAndGradients([{ ...images, encoder: composed }], squares);
      composed.dispose();
      await encoder.setVectors(vectors(2, shallow.blocks));
      const { numTensors, numDataBuffers } = tf.memory();
      const { bufferManager } = tf.backend() as WebGPUBackend;
      counts.push({ numTensors, numDataBuffers, allocated: bufferManager.numBytesAllocated });
    }
    expect(counts.at(-1)).toEqual(counts[Math.floor(LEAK_STEPS / 2)]);
    encoder.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it("refuses a block, or a batch, that exceeds the adapter's buffers, and says what fits", async () => {
    await expect(new WebGpuBackend({ maxBufferBytes: 16 }).compile(spec, base, [], blockwise())).rejects.toThrow(/buffers of at most[\s\S]*an adapter with buffers of[\s\S]*smaller model/);
    const small = await new WebGpuBackend({ maxBufferBytes: ENOUGH_FOR_TWO_ROWS }).compile(spec, base, [], blockwise());
    const composed = await small.compose(small.initialCoefficients());
    await expect(composed.forward(tf.zeros([3, 4, 4, 3]))).rejects.toThrow(/a batch of 3[\s\S]*at most 2 rows at once: set microBatch/);
    composed.dispose();
    small.dispose();
  });

  it("adds up more tensors than a shader may bind", async () => {
    await backend.activate();
    const terms = Array.from({ length: 40 }, (_, i) => tf.add(tf.fill([300], i), 1));
    expect([...await tf.addN(terms).data()]).toEqual(new Array(300).fill(820));
    tf.dispose(terms);
  });

  it("names memory and refusals that the device reports, once each", async () => {
    await backend.activate();
    const watch = new DeviceWatch((tf.backend() as WebGPUBackend).device, "a card");
    const { device } = watch;
    await expect(watch.run(() => Promise.reject(new RangeError("createBuffer failed, size (9) is too large")))).rejects.toThrow(/a card[\s\S]*out of memory[\s\S]*microBatch/);
    const usage = GPUBufferUsage.STORAGE;
    await expect(watch.run(() => Promise.resolve(device.createBuffer({ size: 2 * device.limits.maxBufferSize, usage })))).rejects.toThrow(/a card"[\s\S]*next: /);
    await expect(watch.run(() => Promise.resolve("well"))).resolves.toBe("well");
  });

  it("says that the device was lost, and computes again once it is activated anew", async () => {
    const { code, out } = await inProcess(`
      import { isotropic, randomParameters, Random } from "@atlas-tv/core";
      import { visionSpec } from "@atlas-tv/clip";
      const spec = visionSpec({ embed_dim: 4, vision_cfg: { image_size: 4, layers: 1, width: 4, head_width: 4, patch_size: 2 }, text_cfg: { context_length: 4, vocab_size: 8, width: 4, heads: 2, layers: 1 } });
      const start = async () => {
        const encoder = await backend.compile(spec, randomParameters(spec, new Random(1)), [], isotropic());
        return encoder.compose(encoder.initialCoefficients());
      };
      const composed = await start();
      tf.backend().device.destroy();
      await new Promise((resolve) => setTimeout(resolve, 10));
      await composed.features(tf.zeros([1, 4, 4, 3])).catch((error) => console.log(error.name, error.kind, error.message));
      await backend.activate();
      console.log((await (await (await start()).features(tf.zeros([1, 4, 4, 3]))).data()).length);
    `);
    expect(out).toMatch(/DeviceError lost graphics device [\s\S]*it was lost[\s\S]*next: activate the backend[\s\S]*\n4\n$/);
    expect(code).toBe(0);
  });

  it.each([
    ["when all is read", "await tensor.data();", 0],
    ["while the device still computes", "void tensor.data();", 0],
    ["by process.exit while the device computes", "void tensor.data(); process.exit(3);", 3],
    ["by process.exit in the middle of a reading", "void tensor.data(); setTimeout(() => process.exit(3), 5);", 3],
    ["on an error", "throw new Error();", 1],
  ])("lets the process end %s", async (_when, body, code) => {
    const { code: got } = await inProcess(`await backend.activate(); const tensor = tf.matMul(tf.ones([64, 64]), tf.ones([64, 64])); ${body}`);
    expect(got).toBe(code);
  });
});
