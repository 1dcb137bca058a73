import { registerGradients, type Backend } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { closeTo, fixtureJson, fixtureTensors, floats, integers, tolerance } from "../../core/test/fixture-files.js";
import { ufmLoss } from "../src/index.js";

interface Case {
  readonly trusted: string;
  readonly thresh: number;
  readonly loss: number | "NaN";
  readonly n_pass: number;
  readonly grad_tensor: string;
}

const golden = fixtureTensors("ufm/ufm.safetensors");
const expected = fixtureJson<{ cases: Case[] }>("ufm/expected.json");
const shape = golden.get("logits1")!.shape as [number, number];
const [rows, classes] = shape;

/** The class of each row's one-hot target. */
const targets = await (async () => {
  const oneHot = await integers(golden, "targets");
  return Int32Array.from({ length: rows }, (_, row) => oneHot.slice(row * classes, (row + 1) * classes).indexOf(1));
})();

/** The loss of unsupervised FixMatch against the golden numbers, on one backend. */
export function ufmSuite(backend: Backend): void {
  describe(`the loss of UFM on ${backend.id}`, () => {
    beforeAll(async () => {
      await backend.activate();
      registerGradients();
    });

    it.each(expected.cases.map((item) => [`${item.trusted} above ${item.thresh}`, item] as const))("with %s", async (_name, item) => {
      const { trusted: mask, thresh, loss, n_pass: passing, grad_tensor: gradient } = item;
      const trusted = (await integers(golden, mask)).map((isTrusted, row) => (isTrusted === 1 ? targets[row]! : -1));
      const [weak, strong] = await Promise.all(["logits1", "logits2"].map(async (name) => tf.tensor2d(await floats(golden, name), shape)));
      const before = tf.memory().numTensors;
      // The fixture's trusted images are compared with the threshold, too.
      const rule = { exponent: 1, confidence: "sharpened", thresholdTrusted: true } as const;
      const result = tf.valueAndGrads((a: tf.Tensor, b: tf.Tensor) => ufmLoss(a as tf.Tensor2D, b as tf.Tensor2D, trusted, rule, thresh))([weak!, strong!]);
      const wanted = await floats(golden, gradient);
      if (loss === "NaN") {
        expect(passing).toBe(0);
        expect((await result.value.data())[0]).toBe(0);
        expect((await result.grads[1]!.data()).every((value) => value === 0)).toBe(true);
      } else {
        const limit = tolerance("ufm.loss_and_gradient");
        closeTo(await result.value.data(), [loss], limit, "loss");
        closeTo(await result.grads[1]!.data(), wanted, limit, "gradient");
      }
      tf.dispose([result.value, ...result.grads]);
      expect(tf.memory().numTensors).toBe(before);
      tf.dispose([weak!, strong!]);
    });

    it("sends no gradient to the weak view", async () => {
      const [weak, strong] = await Promise.all(["logits1", "logits2"].map(async (name) => tf.tensor2d(await floats(golden, name), shape)));
      const none = new Int32Array(rows).fill(-1);
      const rule = { exponent: 1, confidence: "raw", thresholdTrusted: false } as const;
      const detached = (a: tf.Tensor): tf.Scalar => ufmLoss(a as tf.Tensor2D, strong!, none, rule, 0);
      expect((await tf.grad(detached)(weak!).data()).every((value) => value === 0)).toBe(true);
      tf.dispose([weak!, strong!]);
    });
  });
}
