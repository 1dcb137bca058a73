import { rawAndClamped } from "@atlas-tv/checkpoints";
import {
  AbortedError,
  bestTrial,
  initialState,
  type CompiledEncoder,
  type EpochRecord,
  type LearnerState,
  type ScalarTrial,
} from "@atlas-tv/core";
import { compileFor, finetunedAccuracies, measureAt, type FinetunedAccuracies, type JointSetup } from "./joint-experiment.js";
import { jointPlan, type JointFlags, type PreparedJointRun } from "./joint-run.js";
import { recordedRun, type FinishedRun, type RunHooks } from "./recorded-run.js";
import { scalarDocument } from "./reference-layouts.js";
import { compositionArtefact } from "./saved-composition.js";
import type { RunRemarks, Terminal } from "./terminal.js";

export interface ScalarSearchFlags extends JointFlags {
  readonly points: number;
}

/** Points of the grid from 0 to 1. */
function grid(points: number): number[] {
  return Array.from({ length: points }, (_, i) => i / (points - 1));
}

interface Searched {
  readonly trials: readonly ScalarTrial[];
  readonly best: ScalarTrial | null;
  readonly history: readonly EpochRecord[];
}

/** Measures every point of the grid that a saved state does not have yet; each is composed once. */
async function search(
  setup: JointSetup,
  encoder: CompiledEncoder,
  points: number,
  finetuned: FinetunedAccuracies,
  hooks: RunHooks,
): Promise<Searched> {
  const { goal } = setup;
  const start = encoder.initialCoefficients();
  const at = (alpha: number): { coef: Float32Array } => ({ coef: start["coef"]!.map(() => goal.sign * alpha) });
  const rule = goal.scalarRule(await measureAt(setup, encoder, start, "validation", finetuned));
  const coefficients = grid(points);
  const trialsOf = (history: readonly EpochRecord[]): ScalarTrial[] =>
    history.map(({ metrics }, index) => ({ coefficient: coefficients[index]!, metrics }));
  let state: LearnerState = hooks.resume ?? initialState(start);
  hooks.onEvent({ type: "start", epochs: points, steps: points, resumedAt: state.epoch });
  for (let epoch = state.epoch + 1; epoch <= points; epoch++) {
    if (hooks.signal.aborted) throw new AbortedError(`stopped after ${state.epoch} of ${points} coefficients`);
    const values = at(coefficients[epoch - 1]!);
    const metrics = await measureAt(setup, encoder, values, "validation", finetuned);
    const record: EpochRecord = { epoch, step: epoch, loss: goal.loss(metrics), metrics, selected: false };
    const trials = trialsOf([...state.history, record]);
    const selected = bestTrial(trials, rule) === trials.at(-1);
    state = {
      ...state,
      epoch,
      step: epoch,
      values,
      best: selected ? { values, record: { ...record, selected } } : state.best,
      history: [...state.history, { ...record, selected }],
    };
    await hooks.save(state);
    hooks.onEvent({ type: "step", step: epoch, steps: points, epoch, loss: record.loss, learningRate: 0, gradientNorm: 0 });
    hooks.onEvent({ type: "epoch", record: state.history.at(-1)!, epochs: points });
  }
  const trials = trialsOf(state.history);
  return { trials, best: bestTrial(trials, rule), history: state.history };
}

/** The scalar baseline θ0 ± α Σ τᵢ in one folder (Ilharco et al. 2022); a finished folder is read back. */
export async function runScalarSearch(
  prepared: PreparedJointRun,
  flags: ScalarSearchFlags,
  path: string,
  remarks: RunRemarks,
  terminal: Terminal,
): Promise<FinishedRun> {
  const { setup, vectors, splits } = prepared;
  const { goal, model, composition, mode } = setup;
  // Nothing is drawn at random; the seed is recorded as 0.
  const seed = 0;
  const options = { points: flags.points, ...goal.options };
  const plan = await jointPlan(prepared, flags, { command: "search", path, label: goal.id, seed, options, source: "scalar" });
  return recordedRun(plan, remarks, terminal, async (hooks) => {
    const finetuned = await finetunedAccuracies(setup);
    const encoder = await compileFor(setup, composition);
    try {
      const { trials, best, history } = await search(setup, encoder, flags.points, finetuned, hooks);
      const start = encoder.initialCoefficients();
      if (best === null) remarks.add("no coefficient qualified: they stay 0, which is the pre-trained model");
      else if (best.coefficient === 0) remarks.add("0 is the best of the coefficients tried: the result is the pre-trained model");
      const values = { coef: start["coef"]!.map(() => goal.sign * (best?.coefficient ?? 0)) };
      const zeroShot = {
        validation: await measureAt(setup, encoder, start, "validation", finetuned),
        test: await measureAt(setup, encoder, start, "test", finetuned),
      };
      const test = await measureAt(setup, encoder, values, "test", finetuned);
      const document = scalarDocument(goal, {
        validation: trials,
        test,
        divisors: finetuned,
      });
      return {
        zeroShot: zeroShot.test,
        final: rawAndClamped(test, goal.id === "addition" ? zeroShot.test : {}),
        history,
        splits,
        composition: compositionArtefact(model, vectors, composition, values, { mode, seed }),
        reference: document,
        ...(best === null ? {} : { notes: [`coefficient ${best.coefficient} is kept`] }),
      };
    } finally {
      encoder.dispose();
    }
  });
}
