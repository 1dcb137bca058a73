import { crossEntropy, lossAndGradients, type Backend } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { closeTo, floats, tolerance } from "../../core/test/fixture-files.js";
import { cacheValues, initialCache, tipLogits, type TipParameters } from "../src/index.js";
import { trainTip } from "../src/tip-training.js";
import { batches, expected, golden, head, shots } from "./golden-cache.js";

const cache = initialCache(shots);
const classes = head.classNames.length;

/** Query logits under given keys, β and α. */
async function queryLogits({ keys, betaAlpha }: TipParameters): Promise<Float32Array> {
  const query = await floats(golden, "query_features");
  const logits = tf.tidy(() => tipLogits(
    head,
    tf.tensor2d(query, [query.length / head.width, head.width]),
    tf.tensor2d(keys, [shots.labels.length, head.width]),
    tf.tensor1d(betaAlpha),
    cacheValues(shots.labels, classes),
  ));
  const values = Float32Array.from(await logits.data<"float32">());
  logits.dispose();
  return values;
}

/** Tip-Adapter against the golden numbers, on one backend. */
export function tipSuite(backend: Backend): void {
  describe(`Tip-Adapter on ${backend.id}`, () => {
    let limit: number;
    beforeAll(async () => {
      await backend.activate();
      limit = tolerance("adapters.tip");
    });

    const named = [...golden.keys()].filter((name) => /^tip\.logits_b[\d.]+_a[\d.]+$/.test(name));

    it("gives the golden logits where it starts, and for other β and α", async () => {
      closeTo(await queryLogits(cache), await floats(golden, "tip.logits_default"), limit, "default");
      expect(named.length).toBeGreaterThan(0);
      for (const name of named) {
        const [, beta, alpha] = /_b([\d.]+)_a([\d.]+)$/.exec(name)!;
        closeTo(await queryLogits({ ...cache, betaAlpha: Float32Array.of(Number(beta), Number(alpha)) }), await floats(golden, name), limit, name);
      }
    });

    it("gives the golden loss and gradients of the first batch", async () => {
      const [first] = await batches();
      const before = tf.memory().numTensors;
      const { loss, extra } = await lossAndGradients([], (_features, { keys, betaAlpha }) => {
        const rows = Array.from(first!, (row) => [...shots.features.subarray(row * head.width, (row + 1) * head.width)]);
        const logits = tipLogits(head, tf.tensor2d(rows), keys!, betaAlpha!, cacheValues(shots.labels, classes));
        return crossEntropy(logits, first!.map((row) => shots.labels[row]!));
      }, { keys: { values: cache.keys, shape: [shots.labels.length, head.width] }, betaAlpha: { values: cache.betaAlpha, shape: [2] } });
      expect(tf.memory().numTensors).toBe(before);
      closeTo(loss, expected.tip_loss_batch0, limit, "loss");
      closeTo(extra["keys"]!, await floats(golden, "tip.grad_adapter_weight"), limit, "keys");
      closeTo(extra["betaAlpha"]!, await floats(golden, "tip.grad_beta_alpha"), limit, "β and α");
    });

    it("follows the golden training, in which everything decays", async () => {
      const { loss, lr, grad_norm: norms } = expected.tip_train;
      const all = await batches();
      const stored = [...golden.keys()].flatMap((name) => /^tip_train\.beta_alpha_after_(\d+)$/.exec(name)?.[1] ?? []).map(Number);
      expect(stored).toContain(loss.length);
      const seen: { loss: number; factor: number; gradientNorm: number; parameters: TipParameters }[] = [];
      await trainTip({
        head, data: shots, cache, steps: loss.length,
        rates: { keys: lr[0]!, scales: lr[0]!, keyDecay: 0.1, scaleDecay: 0.1 },
        batch: (step) => all[step % all.length]!,
        onStep: ({ values, ...step }) => {
          seen.push({ ...step, parameters: { keys: values["keys"]!.slice(), betaAlpha: values["beta_alpha"]!.slice() } });
        },
      });
      closeTo(seen.map((step) => step.loss), loss, limit, "losses");
      closeTo(seen.map(({ factor }) => factor * lr[0]!), lr, tolerance("schedules"), "rates");
      closeTo(seen.map((step) => step.gradientNorm), norms, limit, "gradient norms");
      for (const steps of stored) {
        const { keys, betaAlpha } = seen[steps - 1]!.parameters;
        closeTo(keys, await floats(golden, `tip_train.adapter.weight_after_${steps}`), limit, `keys after ${steps}`);
        closeTo(betaAlpha, await floats(golden, `tip_train.beta_alpha_after_${steps}`), limit, `β and α after ${steps}`);
      }
      closeTo(await queryLogits(seen.at(-1)!.parameters), await floats(golden, `tip_train.query_logits_after_${loss.length}`), limit, "query logits");
    });
  });
}
