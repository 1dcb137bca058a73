export * from "./composition-root.js";
export * from "./failure.js";
export * from "./few-shot-experiment.js";
export * from "./loaded-model.js";
export * from "./plugin-finder.js";
export * from "./program.js";
export * from "./terminal-progress.js";
export * from "./terminal.js";
