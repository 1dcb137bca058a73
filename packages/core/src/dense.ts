import type { DenseComposition, IndexedBlock } from "./composition.js";
import { InputError } from "./errors.js";
import { widen } from "./state-dict.js";

function missing(got: string): InputError {
  return new InputError({ where: "dense composition", got, expected: "every block by name" });
}

/**
 * The coefficients are the blocks themselves, each under its block name and with its shape: fine-tuning from
 * `base`, or pre-training. Task vectors play no part.
 */
export function dense(): DenseComposition {
  const own = <T>({ block }: IndexedBlock, coefficients: Readonly<Record<string, T>>): T => {
    const found = coefficients[block.name];
    if (found !== undefined) return found;
    throw missing(`no values for block "${block.name}"`);
  };
  return {
    id: "dense",
    kind: "dense",
    shapes: (blocks) => Object.fromEntries(blocks.map(({ name, shape }) => [name, [...shape]])),
    initial: (blocks, _n, base) => Object.fromEntries(blocks.map(({ name }) => {
      const tensor = base.get(name);
      if (tensor !== undefined) return [name, Float32Array.from(widen(tensor))];
      throw missing(`no block "${name}" in the base model`);
    })),
    compose: (at, _base, _vectors, coefficients) => own(at, coefficients).clone(),
    reduce: ({ block }, gradient) => ({ [block.name]: gradient.clone() }),
  };
}
