import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { plugin } from "@atlas-tv/adapters-lpp";
import { createContainer, PlainBackend, Random, resolvePlugin } from "@atlas-tv/core";

await new PlainBackend("cpu").activate();
const container = createContainer();
plugin.register(container);
const adapter = resolvePlugin(container, "adapter", "lpp");
const head = { name: "two", classNames: ["a", "b"], width: 2, weight: Float32Array.of(5, 0, 0, 5) };
const shots = { features: Float32Array.of(1, 0.9, 0.9, 1), width: 2, labels: Int32Array.of(0, 1) };
const fitted = await adapter.fit({ head, shots, options: { epochs: 2 }, random: new Random(1) });
const logits = adapter.restore(fitted.state(), head).logits(tf.tensor2d([[1, 0.8]]));
assert.equal((await tf.argMax(logits, 1).data())[0], 0);
