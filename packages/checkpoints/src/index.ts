export * from "./byte-source.js";
export * from "./safetensors-error.js";
export * from "./safetensors-header.js";
export * from "./safetensors-reader.js";
export * from "./safetensors-writer.js";
