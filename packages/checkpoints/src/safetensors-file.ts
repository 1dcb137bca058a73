import { writeFileAtomically, type WrittenFile } from "./atomic-file.js";
import { encodeSafetensors, type WritableTensors } from "./safetensors-writer.js";

/**
 * Writes a safetensors file atomically, one tensor at a time.
 * @throws InputError when the place cannot be written.
 */
export function writeSafetensorsFile(
  path: string,
  tensors: WritableTensors,
  metadata: Readonly<Record<string, string>> = {},
): Promise<WrittenFile> {
  return writeFileAtomically(path, encodeSafetensors(tensors, metadata));
}
