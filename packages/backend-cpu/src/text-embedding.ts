import type { TextTransformerSpec } from "@atlas-tv/core";

/** Token ids `(batch · contextLength)`, as numbers of any kind. */
export type TokenIds = ArrayLike<number>;

/** rows[b · T + t] = tokens[ids[b, t]] + positions[t], `(batch · T, width)`. */
export function embedTokens(
  ids: TokenIds,
  tokens: Float32Array,
  positions: Float32Array,
  { width }: TextTransformerSpec,
  rows: Float32Array,
): void {
  for (let row = 0; row < ids.length; row++) {
    const from = ids[row]! * width;
    const position = (row * width) % positions.length;
    const to = row * width;
    for (let i = 0; i < width; i++) rows[to + i] = tokens[from + i]! + positions[position + i]!;
  }
}

/** The adjoint of `embedTokens`: overwrites `dTokens` and `dPositions` with the sums of the rows that read them. */
export function embedTokensGradient(
  ids: TokenIds,
  dRows: Float32Array,
  { width }: TextTransformerSpec,
  dTokens: Float32Array,
  dPositions: Float32Array,
): void {
  dTokens.fill(0);
  dPositions.fill(0);
  for (let row = 0; row < ids.length; row++) {
    const to = ids[row]! * width;
    const position = (row * width) % dPositions.length;
    const from = row * width;
    for (let i = 0; i < width; i++) {
      const value = dRows[from + i]!;
      dTokens[to + i]! += value;
      dPositions[position + i]! += value;
    }
  }
}

/** For each text, the row of its end-of-text token: the first position of the largest id. */
export function lastTokenRows(ids: TokenIds, contextLength: number): Int32Array {
  return Int32Array.from({ length: ids.length / contextLength }, (_, text) => {
    let last = text * contextLength;
    for (let row = last + 1; row < (text + 1) * contextLength; row++) if (ids[row]! > ids[last]!) last = row;
    return last;
  });
}

/** picked[b] = rows[at[b]], `(batch, width)`. */
export function gatherRows(rows: Float32Array, at: Int32Array, width: number, picked: Float32Array): void {
  at.forEach((row, index) => picked.set(rows.subarray(row * width, (row + 1) * width), index * width));
}

/** The adjoint of `gatherRows`: `dRows` is `dPicked` at those rows and 0 elsewhere. Rows are distinct. */
export function scatterRows(dPicked: Float32Array, at: Int32Array, width: number, dRows: Float32Array): void {
  dRows.fill(0);
  at.forEach((row, index) => dRows.set(dPicked.subarray(index * width, (index + 1) * width), row * width));
}
