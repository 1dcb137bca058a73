import { CpuBackend } from "@atlas-tv/backend-cpu";
import { PlainBackend, registerGradients, type Predictions } from "@atlas-tv/core";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import { closeTo, fixtureJson, fixtureTensors, floats, integers, tolerance } from "../../core/test/fixture-files.js";
import { PLAIN_BACKENDS } from "../../core/test/plain-backends.js";
import { releasedSelection, trustedSet, ufmLoss } from "../src/index.js";

interface Case {
  readonly trusted: string;
  readonly thresh: number;
  readonly loss: number | "NaN";
  readonly n_pass: number;
  readonly grad_tensor: string;
}

interface Selection {
  readonly probs: string;
  readonly N: number;
  readonly C: number;
  readonly as_coded: { trusted_sorted_with_duplicates: number[]; unlabeled: number[]; trusted_bool_all_true: boolean };
  readonly intended: { trusted_unique_sorted: number[]; unlabeled: number[]; trusted_bool: number[]; targets_argmax: number[] };
}

const golden = fixtureTensors("ufm/ufm.safetensors");
const expected = fixtureJson<{ cases: Case[]; selection: Selection[] }>("ufm/expected.json");
const shape = golden.get("logits1")!.shape as [number, number];
const [rows, classes] = shape;

/** The class of each row's one-hot target. */
const targets = await (async () => {
  const oneHot = await integers(golden, "targets");
  return Int32Array.from({ length: rows }, (_, row) => oneHot.slice(row * classes, (row + 1) * classes).indexOf(1));
})();

const backends = [...PLAIN_BACKENDS.map((name) => new PlainBackend(name)), new CpuBackend()];

describe.each(backends.map((backend, i) => [`${backend.id} ${i}`, backend] as const))("the loss on %s", (_name, backend) => {
  beforeAll(async () => {
    await backend.activate();
    registerGradients();
  });

  it.each(expected.cases)("with $trusted above $thresh", async ({ trusted: mask, thresh, loss, n_pass: passing, grad_tensor: gradient }) => {
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

describe.each(expected.selection)("the selection of $N images in $C classes", ({ probs, N, C, intended, as_coded: released }) => {
  async function predictions(): Promise<Predictions> {
    return { probabilities: await floats(golden, probs), classes: C };
  }

  it("trusts the most probable tenth of N/C of every class", async () => {
    const { indices, labels } = trustedSet(await predictions(), Math.floor(N / C / 10));
    expect([...indices]).toEqual(intended.trusted_unique_sorted);
    const all = Array.from({ length: N }, (_, row) => row);
    expect(all.filter((row) => !indices.includes(row))).toEqual(intended.unlabeled);
    expect(all.map((row) => Number(indices.includes(row)))).toEqual(intended.trusted_bool);
    // No image of these was chosen for a class that is not its most probable one.
    indices.forEach((row, i) => { expect(labels[i]).toBe(intended.targets_argmax[row]); });
  });

  it("as released marks every image as trusted", async () => {
    const { secondary, primary, trusted } = releasedSelection(await predictions());
    expect([...secondary]).toEqual(released.trusted_sorted_with_duplicates);
    expect([...primary]).toEqual(released.unlabeled);
    expect(trusted.indices.length === N).toBe(released.trusted_bool_all_true);
    expect([...trusted.labels]).toEqual(intended.targets_argmax);
  });
});
