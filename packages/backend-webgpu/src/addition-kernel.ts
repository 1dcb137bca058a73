import type { WebGPUBackend } from "@tensorflow/tfjs-backend-webgpu";
import * as tf from "@tensorflow/tfjs-core";
import type { KernelConfig, TensorInfo } from "@tensorflow/tfjs-core";

const NAME = "AddN";

/**
 * tfjs's kernel for sums of many tensors binds all of them at once, and fails silently where they are more than a shader
 * may bind. This one adds as many at a time as the device can.
 */
function inParts(original: KernelConfig): KernelConfig {
  return {
    ...original,
    kernelFunc: (params) => {
      const backend = params.backend as WebGPUBackend;
      // One binding is the output.
      const atOnce = backend.device.limits.maxStorageBuffersPerShaderStage - 1;
      let terms = params.inputs as unknown as TensorInfo[];
      let sum: TensorInfo | null = null;
      while (sum === null || terms.length > 0) {
        const taken: TensorInfo[] = [...(sum === null ? [] : [sum]), ...terms.slice(0, sum === null ? atOnce : atOnce - 1)];
        terms = terms.slice(sum === null ? atOnce : atOnce - 1);
        const next = original.kernelFunc({ ...params, inputs: taken as never }) as TensorInfo;
        if (sum !== null) backend.disposeData(sum.dataId);
        sum = next;
      }
      return sum;
    },
  };
}

let replaced = false;

/** Puts our kernel in the place of tfjs's. */
export function replaceAddition(): void {
  const original = tf.getKernel(NAME, "webgpu");
  if (replaced || original == null) return;
  replaced = true;
  tf.unregisterKernel(NAME, "webgpu");
  tf.registerKernel(inParts(original));
}
