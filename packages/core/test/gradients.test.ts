import * as tf from "@tensorflow/tfjs-core";
import { build } from "esbuild";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { gradientConfigs } from "../generated/tfjs-gradients.js";
import { PlainBackend, registerGradients } from "../src/index.js";
import "./plain-backends.js";

describe("registerGradients", () => {
  it("makes operations differentiable, whichever way tfjs-core was loaded", async () => {
    await new PlainBackend("cpu").activate();
    registerGradients();
    const x = tf.tensor1d([1, 2, 3]);
    const slope = tf.grad((value) => tf.sum(tf.mul(value, tf.square(value))))(x);
    expect([...(await slope.data())]).toEqual([3, 12, 27]);
    tf.dispose([x, slope]);
  });

  it("registers every gradient of tfjs-core, and keeps one that is there already", () => {
    registerGradients();
    expect(new Set(gradientConfigs.map(({ kernelName }) => kernelName)).size).toBeGreaterThan(90);
    for (const { kernelName } of gradientConfigs) expect(tf.getGradient(kernelName), kernelName).toBeDefined();
    const own = { ...tf.getGradient("Abs") };
    tf.unregisterGradient("Abs");
    tf.registerGradient(own);
    registerGradients();
    expect(tf.getGradient("Abs")).toBe(own);
  });

  it("brings one engine into a browser bundle, and no Node built-in", async () => {
    const { metafile } = await build({
      entryPoints: [fileURLToPath(new URL("../src/gradients.ts", import.meta.url))],
      bundle: true, write: false, metafile: true, format: "esm", platform: "browser", logLevel: "silent", outdir: "out",
    });
    const inputs = Object.keys(metafile.inputs);
    expect(inputs.filter((path) => path.endsWith("tfjs-core/dist/engine.js"))).toHaveLength(1);
    expect(inputs.filter((path) => path.endsWith("tf-core.node.js"))).toEqual([]);
    expect(Object.values(metafile.outputs).flatMap(({ imports }) => imports)).toEqual([]);
  });
});
