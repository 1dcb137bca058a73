import "@tensorflow/tfjs-backend-cpu";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const wasmEntry = createRequire(import.meta.url).resolve("@tensorflow/tfjs-backend-wasm/package.json");
setWasmPaths(join(dirname(wasmEntry), "dist/"));

/** The tfjs backends on which every numeric test of the default implementation runs. */
export const PLAIN_BACKENDS = ["cpu", "wasm"] as const;
