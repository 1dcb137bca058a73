import type { Dataset } from "@atlas-tv/core";
import { memorySource } from "../src/index.js";

/** A data set of one black pixel. */
export function memoryDataset(name: string): Dataset {
  const source = memorySource({ name, classNames: ["black"], labels: Int32Array.of(0), width: 1, height: 1, channels: 1, data: Uint8Array.of(0) });
  return { name, classNames: ["black"], templates: ["{}"], train: source, test: source };
}
