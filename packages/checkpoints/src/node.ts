export * from "./index.js";
export * from "./file-source.js";
