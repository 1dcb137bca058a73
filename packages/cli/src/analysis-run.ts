import {
  cosineMatrix,
  disentanglementError,
  groupCoefficients,
  InputError,
  isotropic,
  type Backend,
  type CoefficientGroup,
  type NamedArrays,
} from "@atlas-tv/core";
import { EvaluationSet, withComposed } from "./evaluation-set.js";
import type { JointTaskContext } from "./joint-task.js";
import type { LoadedComposition } from "./loaded-composition.js";
import { loadHead, type LoadedModel, type LoadedVector } from "./loaded-model.js";
import { matrixPlot } from "./plots.js";
import { threadsOf, type BackendFlags } from "./shared-flags.js";
import { loadTarget } from "./target-data.js";

/** What `atlas analyse` finds; `analysis.json`. Parts that were not asked for are null. */
export interface Analysis {
  readonly model: string;
  readonly taskVectors: readonly string[];
  /** Cosines between all pairs; null against a vector of zeros. */
  readonly cosines: readonly (readonly (number | null)[])[];
  readonly coefficients: readonly (CoefficientGroup & { readonly taskVector: string })[] | null;
  readonly disentanglement: Disentanglement | null;
}

/** Row i, column j: ξ(τi, τj) on the images of task i; null on the diagonal. */
export interface Disentanglement {
  readonly images: Readonly<Record<string, number>>;
  /** The one coefficient of all vectors; null where a learned composition gives them. */
  readonly scale: number | null;
  readonly errors: readonly (readonly (number | null)[])[];
}

/** Cosines of all pairs, as JSON has them. */
export function cosinesOf(vectors: readonly LoadedVector[]): (number | null)[][] {
  const finite = (value: number): number | null => (Number.isNaN(value) ? null : value);
  return cosineMatrix(vectors.map(({ vector }) => vector)).map((row) => row.map(finite));
}

/** Coefficients `[n, m, K]` of a composition, K of them for every task vector and block. */
function blockCoefficients(model: LoadedModel, { composition, coefficients, vectors }: LoadedComposition, where: string): { coef: Float32Array; parts: number } {
  const { blocks } = model.spec;
  const [n, m] = [vectors.length, blocks.length];
  if (composition.kind === "scalar") {
    const coef = new Float32Array(n * m);
    blocks.forEach((block, index) => {
      composition.weights({ block, index, count: m }, n, coefficients).forEach((weight, i) => {
        coef[i * m + index] = weight;
      });
    });
    return { coef, parts: 1 };
  }
  const [first, ...others] = Object.entries(composition.shapes(blocks, n));
  const [name, [rows, columns, parts = 1, ...more]] = first ?? ["", []];
  if (rows !== n || columns !== m || more.length > 0 || others.length > 0) {
    throw new InputError({
      where,
      got: `a composition "${composition.id}"`,
      expected: "one with coefficients for every task vector and block: isotropic, blockwise or in partitions",
    });
  }
  return { coef: coefficients[name]!, parts };
}

/** Learned coefficients by layer and kind of block. */
export function coefficientsOf(model: LoadedModel, loaded: LoadedComposition, where: string): NonNullable<Analysis["coefficients"]> {
  const { coef, parts } = blockCoefficients(model, loaded, where);
  return groupCoefficients(model.spec.blocks, coef, parts).map((group) => ({
    ...group,
    taskVector: loaded.vectors[group.vector]!.vector.name,
  }));
}

export interface DisentanglementSetup {
  readonly backend: Backend;
  readonly model: LoadedModel;
  readonly vectors: readonly LoadedVector[];
  /** Null: one coefficient for all. */
  readonly learned: { readonly loaded: LoadedComposition; readonly where: string } | null;
  /** Without a learned composition: the one coefficient, and whether the vectors are added to the model or to its linearisation. */
  readonly scale: number;
  readonly mode: LoadedComposition["mode"];
  /** Test images looked at, at most. */
  readonly images?: number;
}

/** Coefficients with those of some task vectors kept and those of all others 0. @throws InputError where rows are not task vectors. */
function keepingOnly({ composition, coefficients, vectors }: LoadedComposition, model: LoadedModel, where: string): (...kept: number[]) => NamedArrays {
  const n = vectors.length;
  if (Object.values(composition.shapes(model.spec.blocks, n)).some(([rows]) => rows !== n)) {
    throw new InputError({ where, got: `a composition "${composition.id}"`, expected: "one whose coefficients have a row for every task vector" });
  }
  const keep = (values: Float32Array, kept: readonly number[]): Float32Array =>
    values.map((value, at) => (kept.includes(Math.floor((at * n) / values.length)) ? value : 0));
  return (...kept) => Object.fromEntries(Object.entries(coefficients).map(([name, values]) => [name, keep(values, kept)]));
}

/** ξ(τi, τj) of every pair of task vectors whose own data sets are at hand. */
export async function disentanglementOf(
  setup: DisentanglementSetup,
  flags: BackendFlags & { readonly dataLocation?: string },
  context: JointTaskContext,
): Promise<Disentanglement> {
  const { backend, model, vectors, learned, scale } = setup;
  const same = { composition: isotropic(), coefficients: { coef: new Float32Array(vectors.length).fill(scale) }, vectors, mode: setup.mode };
  const { loaded, where } = learned ?? { loaded: same, where: "--scale" };
  const only = keepingOnly(loaded, model, where);
  const { composition, mode } = loaded;
  const encoder = await backend.compile(model.spec, model.base, vectors.map(({ vector }) => vector), composition, { mode, ...threadsOf(flags) });
  const images: Record<string, number> = {};
  const errors: (number | null)[][] = [];
  try {
    for (const [i, { vector }] of vectors.entries()) {
      const dataset = await loadTarget({ target: vector.name, ...(flags.dataLocation === undefined ? {} : { dataLocation: flags.dataLocation }) });
      const head = await loadHead(model, dataset, { backend, remark: context.remarks.add, ...threadsOf(flags) });
      const count = Math.min(dataset.test.length, setup.images ?? dataset.test.length);
      const indices = Int32Array.from({ length: count }, (_, at) => Math.floor((at * dataset.test.length) / count));
      const test = new EvaluationSet(model, head, { source: dataset.test, indices }, context.signal);
      const predicted = (coefficients: NamedArrays): Promise<Int32Array> =>
        withComposed(encoder, coefficients, (composed) => test.predict(composed));
      const alone = await predicted(only(i));
      const row: (number | null)[] = [];
      for (let j = 0; j < vectors.length; j++) row.push(i === j ? null : disentanglementError(alone, await predicted(only(i, j))));
      images[vector.name] = count;
      errors.push(row);
    }
  } finally {
    encoder.dispose();
  }
  return { images, scale: learned === null ? scale : null, errors };
}

function cellsOf(names: readonly string[], matrix: readonly (readonly (number | null)[])[]) {
  return matrix.flatMap((row, i) => row.flatMap((value, j) => (value === null ? [] : [{ row: names[i]!, column: names[j]!, value }])));
}

/** The plots of an analysis, by file name. */
export function plotsOf({ taskVectors, cosines, coefficients, disentanglement }: Analysis) {
  const pair = { rows: taskVectors, columns: taskVectors };
  const plots = {
    "cosines.svg": matrixPlot({
      title: "Cosines of task vectors", cells: cellsOf(taskVectors, cosines), ...pair, rowTitle: "", columnTitle: "", range: [-1, 1],
    }),
  };
  const places = (coefficients ?? []).map(({ layer, kind }) => (layer === null ? kind : `${layer} ${kind}`));
  const largest = Math.max(1e-12, ...(coefficients ?? []).map(({ mean }) => Math.abs(mean)));
  return {
    ...plots,
    ...(coefficients === null
      ? {}
      : {
          "coefficients.svg": matrixPlot({
            title: "Mean coefficient by layer and kind of block",
            cells: coefficients.map(({ taskVector, mean }, i) => ({ row: places[i]!, column: taskVector, value: mean })),
            rows: [...new Set(places)],
            columns: [...new Set(coefficients.map(({ taskVector }) => taskVector))],
            rowTitle: "layer and kind",
            columnTitle: "task vector",
            range: [-largest, largest],
          }),
        }),
    ...(disentanglement === null
      ? {}
      : {
          "disentanglement.svg": matrixPlot({
            title: "Disentanglement error",
            cells: cellsOf(taskVectors, disentanglement.errors),
            ...pair,
            rowTitle: "images of",
            columnTitle: "when this is added",
            range: [0, 1],
          }),
        }),
  };
}
