import { crossEntropy, lossAndGradients, unitRows, type Backend } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { activeColumn, closeTo, floats, tolerance } from "../../core/test/fixture-files.js";
import { classify, textEmbeddings, lppLogits, type LppParameters } from "../src/index.js";
import { descendAdamW, descendBlockwise } from "../src/lpp-descent.js";
import { batches, expected, golden, head, shots, start, storedSteps } from "./golden-shots.js";

const classes = head.classNames.length;

/** How many losses of an ill-conditioned run every backend has in common (TOLERANCES.md). */
const COMPARABLE_LOSSES = 3;

async function queryLogits(parameters: LppParameters): Promise<Float32Array> {
  const query = await floats(golden, "query_features");
  const rows = tf.tensor2d(query, [query.length / head.width, head.width]);
  const logits = classify(head, parameters, rows);
  const values = Float32Array.from(await logits.data<"float32">());
  tf.dispose([rows, logits]);
  return values;
}

function copy({ weight, bias, alpha }: LppParameters): LppParameters {
  return { weight: weight.slice(), bias: bias.slice(), alpha: alpha.slice() };
}

/** LP++ against the golden numbers, on one backend. */
export function lppSuite(backend: Backend): void {
  describe(`LP++ on ${backend.id}`, () => {
    beforeAll(() => backend.activate());

    it("gives the golden logits, and loss and gradients of the first batch", async () => {
      const limit = tolerance("adapters.lpp_gradients");
      closeTo(await queryLogits(start.parameters), await floats(golden, "lpp.query_logits_init"), limit, "query logits");
      const rows = batches[0]!;
      const { weight, bias, alpha } = start.parameters;
      const { loss, extra } = await lossAndGradients([], (_features, tensors) => {
        const unit = tf.gather(tf.tensor2d(unitRows(shots), [shots.labels.length, head.width]), tf.tensor1d(rows, "int32"));
        const text = tf.matMul(unit, tf.transpose(tf.tensor2d(textEmbeddings(head).unit, [classes, head.width])));
        return crossEntropy(lppLogits(unit, text as tf.Tensor2D, tensors), rows.map((row) => shots.labels[row]!));
      }, {
        weight: { values: weight, shape: [classes, head.width] }, bias: { values: bias, shape: [classes] }, alpha: { values: alpha, shape: [classes] },
      });
      closeTo(loss, expected.lpp_loss_batch0, limit, "loss");
      closeTo(extra["weight"]!, await floats(golden, "lpp.grad_weight"), limit, "weight");
      closeTo(extra["bias"]!, await floats(golden, "lpp.grad_bias"), limit, "bias");
      closeTo(extra["alpha"]!, await floats(golden, "lpp.grad_alpha_vec"), limit, "alpha");
    });

    it.each([["lpp_official", "accumulated"], ["lpp_official_alpha_grad_reset", "current"]] as const)("follows %s", async (run, alphaGradient) => {
      const limit = tolerance("adapters.lpp_official");
      const { loss } = expected[run]!;
      const losses: number[] = [];
      const after: LppParameters[] = [];
      const before = tf.memory().numTensors;
      await descendBlockwise({
        head, shots, start, epochs: loss.length, alphaInterval: 10, alphaGradient,
        onEpoch: (epoch) => { losses.push(epoch.loss); after.push(copy(epoch.parameters)); },
      });
      expect(tf.memory().numTensors).toBe(before);
      closeTo(losses, loss, limit, "losses");
      const steps = storedSteps(run, "weight");
      expect(steps).toContain(loss.length);
      for (const step of steps) {
        const { weight, bias, alpha } = after[step - 1]!;
        closeTo(weight, await floats(golden, `${run}.weight_after_${step}`), limit, `weight after ${step}`);
        closeTo(bias, await floats(golden, `${run}.bias_after_${step}`), limit, `bias after ${step}`);
        closeTo(alpha, await floats(golden, `${run}.alpha_vec_after_${step}`), limit, `alpha after ${step}`);
      }
      closeTo(await queryLogits(after.at(-1)!), await floats(golden, `${run}.query_logits_after_${loss.length}`), limit, "query logits");
    });

    it.each([["lpp_train_as_coded_alpha_frozen", false], ["lpp_train_all_params_lr_temp", true]] as const)("follows %s", async (run, learnAlpha) => {
      // Ill-conditioned: where sums run in another order, only the first losses are comparable, and within the strict limit.
      const limit = tolerance("adapters.lpp_adamw", undefined, "f32");
      const comparable = activeColumn() === "f32" ? Infinity : COMPARABLE_LOSSES;
      const { loss, lr, grad_norm: norms } = expected[run]!;
      const seen: { loss: number; factor: number; gradientNorm: number; parameters: LppParameters }[] = [];
      const learned = await descendAdamW({
        head, shots, start, learnAlpha, steps: loss.length, batch: (step) => batches[step % batches.length]!,
        onStep: ({ values, ...step }) => { seen.push({ ...step, parameters: copy({ ...start.parameters, ...values }) }); },
      });
      closeTo(seen.slice(0, comparable).map((step) => step.loss), loss.slice(0, comparable), limit, "losses");
      closeTo(seen.map(({ factor }) => factor * start.weightRate), lr!, tolerance("adapters.lpp_init"), "rates");
      if (comparable < loss.length) return;
      closeTo(seen.map(({ gradientNorm }) => gradientNorm), norms!, limit, "gradient norms");
      for (const step of storedSteps(run, "adapter.weight")) {
        const { weight, bias, alpha } = seen[step - 1]!.parameters;
        closeTo(weight, await floats(golden, `${run}.adapter.weight_after_${step}`), limit, `weight after ${step}`);
        closeTo(bias, await floats(golden, `${run}.adapter.bias_after_${step}`), limit, `bias after ${step}`);
        closeTo(alpha, await floats(golden, `${run}.alpha_vec_after_${step}`), limit, `alpha after ${step}`);
      }
      closeTo(await queryLogits(learned), await floats(golden, `${run}.query_logits_after_${loss.length}`), limit, "query logits");
    });
  });
}
