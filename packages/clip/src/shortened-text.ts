import { InputError, type EncoderInputs, type HostTensor, type NamedHostTensors, type TextTransformerSpec } from "@atlas-tv/core";

/** Columns of token ids up to the last one that is no padding in any row. */
export function usedLength({ data, shape: [, columns = 0] }: EncoderInputs): number {
  let used = 0;
  for (let at = 0; at < data.length; at++) if (data[at] !== 0) used = Math.max(used, (at % columns) + 1);
  return used;
}

/** The first `length` columns of token ids. */
export function firstColumns({ data, shape: [rows = 0, columns = 0] }: EncoderInputs, length: number): EncoderInputs {
  const cut = new Float32Array(rows * length);
  for (let row = 0; row < rows; row++) for (let column = 0; column < length; column++) cut[row * length + column] = data[row * columns + column]!;
  return { data: cut, shape: [rows, length] };
}

function firstRows(tensor: HostTensor, rows: number): HostTensor {
  const [, width = 0] = tensor.shape;
  const shape = [rows, width];
  return tensor.dtype === "F16"
    ? { dtype: "F16", shape, data: tensor.data.slice(0, rows * width) }
    : { dtype: "F32", shape, data: tensor.data.slice(0, rows * width) };
}

/**
 * The text encoder for texts of at most `length` tokens, which gives the same features for less work: attention is
 * causal, so that a text's feature, read at its end, does not depend on the padding behind it.
 * @throws InputError unless 0 < `length` ≤ the encoder's context length.
 */
export function shortenedText(
  spec: TextTransformerSpec,
  base: NamedHostTensors,
  length: number,
): { spec: TextTransformerSpec; base: NamedHostTensors } {
  if (!Number.isInteger(length) || length < 1 || length > spec.contextLength) {
    throw new InputError({ where: "length of texts", got: String(length), expected: `a whole number from 1 to ${spec.contextLength}` });
  }
  const positions = `${spec.prefix}positional_embedding`;
  return {
    spec: {
      ...spec,
      contextLength: length,
      blocks: spec.blocks.map((block) => (block.name === positions ? { ...block, shape: [length, spec.width] } : block)),
    },
    base: new Map([...base].map(([name, tensor]) => [name, name === positions ? firstRows(tensor, length) : tensor])),
  };
}
