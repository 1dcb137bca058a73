export * from "./plugin.js";
export * from "./trusted-set.js";
export * from "./ufm-objective.js";
