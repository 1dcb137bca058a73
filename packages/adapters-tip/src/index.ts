export * from "./plugin.js";
export * from "./tip-adapter.js";
export * from "./tip-cache.js";
