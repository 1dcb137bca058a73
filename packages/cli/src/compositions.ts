import { blockwise, InputError, isotropic, type Composition } from "@atlas-tv/core";

const COMPOSITIONS: Readonly<Record<string, () => Composition>> = { isotropic, blockwise };

/** The composition of that id, as `composition.safetensors` names it. */
export function compositionById(id: string, where: string): Composition {
  const make = COMPOSITIONS[id];
  if (make !== undefined) return make();
  throw new InputError({ where, got: `composition "${id}"`, expected: `one of ${Object.keys(COMPOSITIONS).join(", ")}` });
}
