import * as tf from "@tensorflow/tfjs-core";
import type { Tensor2D } from "@tensorflow/tfjs-core";
import type { GeneralComposition, IndexedBlock, NamedArrays } from "./composition.js";
import type { BlockKind, BlockSpec } from "./encoder-spec.js";
import { InputError } from "./errors.js";
import type { Random } from "./random.js";
import type { HostTensor } from "./state-dict.js";
import { float32ToFloat16 } from "./half.js";
import type { Storage, TaskVector, TaskVectorBlock } from "./task-vector.js";

/** The weights that are adapted: attention and MLP. */
const ADAPTED: ReadonlySet<BlockKind> = new Set(["attention_input", "attention_output", "mlp_input", "mlp_output"]);

export interface LoraOptions {
  /** r: columns of the left factor, rows of the right one. */
  readonly rank: number;
  /** Draws the right factors that learning starts from. */
  readonly random: Random;
}

/** Names of the two factors of a block among the coefficients. */
export function loraFactors(block: string): { left: string; right: string } {
  return { left: `${block}.lora_left`, right: `${block}.lora_right` };
}

/** Whether a block has factors: a matrix of attention or MLP. */
export function isLoraBlock({ kind, role, shape }: BlockSpec): boolean {
  return ADAPTED.has(kind) && role === "weight" && shape.length === 2;
}

/**
 * Low-rank fine-tuning (Hu et al. 2022): a matrix W of attention or MLP is W0 + L · R with L `[rows, r]` and R
 * `[r, columns]`, every other block stays as it is. Starts at the base model: L is 0, R normal with variance 1 / columns.
 * Task vectors play no part.
 */
export function lora({ rank, random }: LoraOptions): GeneralComposition {
  if (!Number.isInteger(rank) || rank < 1) {
    throw new InputError({ where: "lora rank", got: String(rank), expected: "a whole number from 1" });
  }
  const factorsOf = ({ block }: IndexedBlock, coefficients: Readonly<Record<string, tf.Tensor>>): [Tensor2D, Tensor2D] => {
    const { left, right } = loraFactors(block.name);
    return [coefficients[left] as Tensor2D, coefficients[right] as Tensor2D];
  };
  return {
    id: "lora",
    kind: "general",
    shapes: (blocks) => Object.fromEntries(blocks.filter(isLoraBlock).flatMap(({ name, shape: [rows = 0, columns = 0] }) => {
      const { left, right } = loraFactors(name);
      return [[left, [rows, rank]], [right, [rank, columns]]];
    })),
    initial: (blocks) => Object.fromEntries(blocks.filter(isLoraBlock).flatMap(({ name, shape: [rows = 0, columns = 0] }) => {
      const { left, right } = loraFactors(name);
      const draws = random.fork(name);
      const values = Float32Array.from({ length: rank * columns }, () => draws.normal() / Math.sqrt(columns));
      return [[left, new Float32Array(rows * rank)], [right, values]];
    })),
    compose: (at, base, _vectors, coefficients) => {
      if (!isLoraBlock(at.block)) return base.clone();
      return tf.tidy(() => tf.add(base, tf.matMul(...factorsOf(at, coefficients))));
    },
    reduce: (at, gradient, _vectors, coefficients) => {
      if (!isLoraBlock(at.block)) return {};
      const [left, right] = factorsOf(at, coefficients);
      const names = loraFactors(at.block.name);
      // Transposing first: a matMul with a transposed operand is many times slower on the wasm backend.
      return {
        [names.left]: tf.tidy(() => tf.matMul(gradient as Tensor2D, tf.transpose(right))),
        [names.right]: tf.tidy(() => tf.matMul(tf.transpose(left), gradient as Tensor2D)),
      };
    },
  };
}

/** The task vector L · R of learned factors, which it keeps: a block takes r · (rows + columns) numbers. */
export function loraTaskVector(name: string, blocks: readonly BlockSpec[], factors: NamedArrays, storage: Storage = "F16"): TaskVector {
  const adapted = blocks.filter(isLoraBlock).map((block): [string, TaskVectorBlock] => {
    const { left, right } = loraFactors(block.name);
    const [rows = 0, columns = 0] = block.shape;
    const rank = factors[left]!.length / rows;
    const stored = (shape: readonly number[], data: Float32Array): HostTensor =>
      storage === "F16" ? { dtype: "F16", shape, data: float32ToFloat16(data) } : { dtype: "F32", shape, data };
    return [block.name, {
      dtype: "low-rank",
      shape: block.shape,
      left: stored([rows, rank], factors[left]!),
      right: stored([rank, columns], factors[right]!),
    }];
  });
  return { name, blocks: new Map(adapted) };
}
