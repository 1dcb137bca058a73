export * from "./partition.js";
export * from "./partition-masks.js";
export * from "./plugin.js";
