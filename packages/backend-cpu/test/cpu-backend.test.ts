import { availableParallelism } from "node:os";
import { knownModel, textSpec, visionSpec } from "@atlas-tv/clip";
import {
  createContainer, dense, InputError, inputTensor, isotropic, resolvePlugin,
  type EncoderSpec, type ErrorFacts,
} from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it, vi } from "vitest";
import { CpuBackend, estimateMemory, plugin } from "../src/index.js";
import { MemoryBudget } from "../src/memory-estimate.js";
import { knownVit, SMALL_SPECS, smallInputs, smallModel } from "./small-models.js";

const spec = SMALL_SPECS["vit with quick_gelu"]!;
const text = SMALL_SPECS["text with gelu"]!;

async function factsOf(promise: Promise<unknown>): Promise<ErrorFacts> {
  const error: unknown = await promise.then(() => null, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(InputError);
  return (error as InputError).facts;
}

describe("the cpu backend", () => {
  it("is found by its id after it was registered", () => {
    const container = createContainer();
    plugin.register(container);
    expect(resolvePlugin(container, "backend", plugin.id)).toBeInstanceOf(CpuBackend);
    expect(plugin.options.safeParse({ threads: 0 }).success).toBe(false);
  });

  it("reports the processor, its cores and the versions of what it runs on", async () => {
    const report = await new CpuBackend().probe();
    expect(report).toMatchObject({ usable: true, missing: [] });
    expect(report.device).toContain(`${availableParallelism()} cores`);
    expect(Object.keys(report.versions)).toEqual(["onnxruntime-node", "@tensorflow/tfjs-backend-wasm", "@tensorflow/tfjs-core"]);
  });

  it("activates the wasm backend, more than once", async () => {
    const backend = new CpuBackend();
    await backend.activate();
    await backend.activate();
    expect(tf.getBackend()).toBe("wasm");
  });

  it("refuses numbers of threads and rows that are none", async () => {
    expect(() => new CpuBackend({ threads: 1.5 })).toThrow(InputError);
    const { base } = smallModel(spec, 0);
    expect((await factsOf(new CpuBackend().compile(spec, base, [], isotropic(), { microBatch: 0 }))).where).toBe("microBatch");
  });

  it("names what a base or a task vector lacks", async () => {
    const { base, vectors } = smallModel(spec, 1);
    const missing = new Map([...base].slice(1));
    expect((await factsOf(new CpuBackend().compile(spec, missing, vectors, isotropic()))).got).toContain([...base.keys()][0]);
    const nan = new Map(base);
    const [name, { shape, data }] = [...base][2]!;
    nan.set(name, { dtype: "F32", shape, data: new Float32Array(data.length).fill(NaN) });
    const broken = new CpuBackend().compile(spec, base, [{ name: "broken", blocks: nan }], isotropic());
    expect((await factsOf(broken)).where).toContain("broken");
  });

  it("refuses inputs of another shape and ids beyond the vocabulary", async () => {
    const backend = new CpuBackend();
    await backend.activate();
    const { base } = smallModel(text, 0);
    const encoder = await backend.compile(text, base, [], isotropic());
    const composed = await encoder.compose(encoder.initialCoefficients());
    const before = tf.memory().numTensors;
    const short = tf.zeros([2, 3]);
    const beyond = inputTensor({ ...smallInputs(text, 1), data: smallInputs(text, 1).data.fill(10_000) });
    expect((await factsOf(composed.features(short))).got).toContain("[2, 3]");
    expect((await factsOf(composed.forward(beyond))).got).toBe("10000");
    tf.dispose([short, beyond]);
    expect(tf.memory().numTensors).toBe(before);
    composed.dispose();
    encoder.dispose();
  });

  it("leaves what it has no programs for to the default, and says so once", async () => {
    const backend = new CpuBackend();
    await backend.activate();
    const told: string[] = [];
    const shallow: EncoderSpec = { ...text, layers: 0 } as EncoderSpec;
    const onFallback = (what: string): void => { told.push(what); };
    for (let i = 0; i < 2; i++) await backend.compile(shallow, new Map(), [], isotropic(), { onFallback }).catch(() => undefined);
    expect(told).toEqual(["transformers without residual blocks"]);
  });
});

describe("foreseen memory", () => {
  const big = knownVit("ViT-B-32");

  it.each(["ViT-B-32", "RN50"])("of %s grows with the batch, and shrinks with recomputation and without gradients", (name) => {
    const own = visionSpec(knownModel(name));
    const need = estimateMemory(own, { batch: 32, composition: "scalar" });
    expect(need.total).toBe(need.parameters + need.gradients + need.activations + need.workspace);
    expect(estimateMemory(own, { batch: 64, composition: "scalar" }).activations).toBe(2 * need.activations);
    expect(estimateMemory(own, { batch: 32, composition: "scalar", recompute: true }).total).toBeLessThan(need.total);
    expect(estimateMemory(own, { batch: 32, composition: "scalar", gradient: false }).total).toBeLessThan(need.total);
  });

  it("of a text encoder with a dense composition holds the gradient of its token table", () => {
    const table = 4 * 49408 * 512;
    expect(estimateMemory(textSpec(knownModel("ViT-B-32")), { batch: 1, composition: "dense" }).gradients).toBeGreaterThan(table);
  });

  it("that was granted serves smaller batches, however little is free by then, and no larger ones", () => {
    const free = vi.spyOn(process, "availableMemory").mockReturnValue(1e12);
    try {
      const budget = new MemoryBudget(big);
      budget.require("a step", { batch: 32, composition: "scalar" }, 0);
      free.mockReturnValue(0);
      budget.require("a step", { batch: 31, composition: "scalar" }, 0);
      budget.require("features", { batch: 32, composition: "scalar", gradient: false }, 0);
      expect(() => budget.require("a step", { batch: 33, composition: "scalar" }, 0)).toThrow(InputError);
    } finally {
      free.mockRestore();
    }
  });

  it("that is too much is refused with the number that is lacking and the option that helps", async () => {
    const plan = { batch: 64, composition: "dense" } as const;
    const small = SMALL_SPECS["vit with gelu"] as typeof big;
    const { total } = estimateMemory(small, plan);
    const memoryLimit = (total + estimateMemory(small, { ...plan, recompute: true }).total) / 2;
    const model = smallModel(small, 0);
    const backend = new CpuBackend({ memoryLimit });
    await backend.activate();
    const encoder = await backend.compile(model.spec, model.base, [], dense());
    const composed = await encoder.compose(encoder.initialCoefficients());
    const images = inputTensor(smallInputs(model.spec, plan.batch));
    const facts = await factsOf(composed.forward(images));
    expect(facts.got).toContain(`${((total - memoryLimit) / 1e9).toFixed(3)} GB too little`);
    expect(facts.next).toContain("recompute");
    images.dispose();
    composed.dispose();
    encoder.dispose();
    const tiny = new CpuBackend({ memoryLimit: 10 });
    expect((await factsOf(tiny.compile(model.spec, model.base, [], dense()))).where).toContain("compile");
  });
});
