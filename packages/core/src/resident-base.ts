import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "@tensorflow/tfjs-core";
import type { BlockSpec } from "./encoder-spec.js";
import { widen, type NamedHostTensors } from "./state-dict.js";

/** θ0 on the device, uploaded block by block when it is first asked for, and shared by the block stores of one encoder. */
export class ResidentBase {
  readonly #tensors = new Map<string, Tensor>();
  #holders = 0;

  constructor(readonly host: NamedHostTensors) {}

  /** θ0(j); it stays the base's own. */
  tensor({ name, shape }: BlockSpec): Tensor {
    const known = this.#tensors.get(name);
    if (known !== undefined) return known;
    const tensor = tf.keep(tf.tensor(widen(this.host.get(name)!), [...shape], "float32"));
    this.#tensors.set(name, tensor);
    return tensor;
  }

  hold(): void {
    this.#holders++;
  }

  /** The last one to leave frees the tensors. */
  release(): void {
    if (--this.#holders > 0) return;
    for (const tensor of this.#tensors.values()) tensor.dispose();
    this.#tensors.clear();
  }
}
