import type { Tensor2D } from "@tensorflow/tfjs-core";
import { tensorFlowBackend, type Addon, type OpAttribute } from "./tensorflow-addon.js";

/** TensorFlow's number for half floats, which the addon does not name: tfjs has no tensors of them. */
const TF_HALF = 19;

const typeAttribute = ({ TF_ATTR_TYPE }: Addon, name: string, value: number): OpAttribute => ({ name, type: TF_ATTR_TYPE, value });

/** Half floats `[rows, columns]` on TensorFlow's device. */
export class HalfMatrix {
  readonly #id: number;

  /** @param halves the bits, row by row. */
  constructor(halves: Uint16Array, rows: number, columns: number) {
    const { binding } = tensorFlowBackend();
    const bytes = binding.createTensor([rows, columns, 2], binding.TF_UINT8, new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength));
    const [matrix] = binding.executeOp("Bitcast", [typeAttribute(binding, "T", binding.TF_UINT8), typeAttribute(binding, "type", TF_HALF)], [bytes], 1);
    binding.deleteTensor(bytes);
    this.#id = matrix!.id;
  }

  /** As float32, which the caller owns. */
  widened(): Tensor2D {
    const backend = tensorFlowBackend();
    const { binding } = backend;
    const [matrix] = binding.executeOp("Cast", [
      typeAttribute(binding, "SrcT", TF_HALF),
      typeAttribute(binding, "DstT", binding.TF_FLOAT),
      { name: "Truncate", type: binding.TF_ATTR_BOOL, value: false },
    ], [this.#id], 1);
    return backend.createOutputTensor(matrix!) as Tensor2D;
  }

  dispose(): void {
    tensorFlowBackend().binding.deleteTensor(this.#id);
  }
}
