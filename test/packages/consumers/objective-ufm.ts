import assert from "node:assert/strict";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { createContainer, PlainBackend, registerGradients, resolvePlugin } from "@atlas-tv/core";
import { plugin } from "@atlas-tv/objective-ufm";

await new PlainBackend("cpu").activate();
registerGradients();
const container = createContainer();
plugin.register(container);
const head = { name: "two", classNames: ["a", "b"], width: 2, weight: Float32Array.of(5, 0, 0, 5) };
const objective = resolvePlugin(container, "unsupervised", "ufm").create({ heads: [head], options: {} });
const { labels } = objective.trust!({ probabilities: Float32Array.of(0.9, 0.1, 0.2, 0.8), classes: 2 });
assert.deepEqual([...labels], [0, 1]);
const image = { data: new Float32Array(2), shape: [2, 1] };
const features = tf.tensor2d([[1, 0], [0, 1]]);
const loss = objective.loss([features, features], { weak: image, strong: image, trusted: labels }, {}, { step: 0, steps: 1, epoch: 1 });
assert.ok((await loss.data())[0]! > 0);
