import type { Predictions } from "@atlas-tv/core";
import { describe, expect, it } from "vitest";
import { presentBackends } from "../../../test/parity/present-backends.js";
import { fixtureJson, fixtureTensors, floats } from "../../core/test/fixture-files.js";
import { MOST_PER_CLASS, releasedSelection, trustedSet } from "../src/index.js";
import { ufmSuite } from "./ufm-suite.js";

interface Selection {
  readonly probs: string;
  readonly N: number;
  readonly C: number;
  readonly as_coded: { trusted_sorted_with_duplicates: number[]; unlabeled: number[]; trusted_bool_all_true: boolean };
  readonly intended: { trusted_unique_sorted: number[]; unlabeled: number[]; trusted_bool: number[]; targets_argmax: number[] };
}

const golden = fixtureTensors("ufm/ufm.safetensors");
const expected = fixtureJson<{ selection: Selection[] }>("ufm/expected.json");

for (const backend of presentBackends) ufmSuite(backend);

describe.each(expected.selection)("the selection of $N images in $C classes", ({ probs, N, C, intended, as_coded: released }) => {
  async function predictions(): Promise<Predictions> {
    return { probabilities: await floats(golden, probs), classes: C };
  }

  it("trusts the most probable tenth of N/C of every class", async () => {
    const own = await predictions();
    const perClass = Math.min(Math.floor(N / C / 10), MOST_PER_CLASS);
    const { indices, labels } = trustedSet(own, perClass);
    expect([...indices]).toEqual(intended.trusted_unique_sorted);
    const all = Array.from({ length: N }, (_, row) => row);
    expect(all.filter((row) => !indices.includes(row))).toEqual(intended.unlabeled);
    expect(all.map((row) => Number(indices.includes(row)))).toEqual(intended.trusted_bool);
    // The label is the most probable class, but for an image that was chosen for others alone.
    const rank = (row: number, label: number): number => all.filter((other) => own.probabilities[other * C + label]! > own.probabilities[row * C + label]!).length;
    indices.forEach((row, i) => {
      const label = intended.targets_argmax[row]!;
      if (rank(row, label) < perClass) expect(labels[i]).toBe(label);
      else expect(rank(row, labels[i]!)).toBeLessThan(perClass);
    });
  });

  it("as released marks every image as trusted", async () => {
    const { secondary, primary, trusted } = releasedSelection(await predictions());
    expect([...secondary]).toEqual(released.trusted_sorted_with_duplicates);
    expect([...primary]).toEqual(released.unlabeled);
    expect(trusted.indices.length === N).toBe(released.trusted_bool_all_true);
    expect([...trusted.labels]).toEqual(intended.targets_argmax);
  });
});
