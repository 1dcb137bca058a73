export * from "./batch-order.js";
export * from "./batches.js";
export * from "./image-blob.js";
export * from "./class-prompts.js";
export * from "./png.js";
export * from "./shots.js";
export * from "./sources.js";
export * from "./split.js";
