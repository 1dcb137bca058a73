export * from "./lpp-adapter.js";
export * from "./lpp-initial.js";
export * from "./lpp-model.js";
export * from "./plugin.js";
