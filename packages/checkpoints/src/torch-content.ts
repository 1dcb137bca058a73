import type { TorchContent } from "./torch-structure.js";

/** What we say wrote a file of PyTorch's. */
export const PYTORCH = "PyTorch";

/** A pickle holds no weights, only their names: that of a whole ViT-L/14 takes 100 kB. */
export const MAX_PICKLE_BYTES = 32 * 1024 * 1024;

/** "a module src.modeling.ImageEncoder that PyTorch saved" */
export function describeContent({ kind, module, tensors }: TorchContent): string {
  if (kind === "script") return `a TorchScript archive of ${tensors.size} tensors`;
  if (kind === "module") return `a module ${module?.className ?? ""} that PyTorch saved`;
  return kind === "tensor" ? "a single tensor that PyTorch saved" : `a dict of ${tensors.size} tensors that PyTorch saved`;
}
