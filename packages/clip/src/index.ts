export * from "./clip-tokenizer.js";
export * from "./clip-vocabulary.js";
export * from "./config.js";
export * from "./encoder-specs.js";
export * from "./known-models.js";
export * from "./word-tokenizer.js";
export * from "./zero-shot-head.js";
