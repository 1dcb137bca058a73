export { CpuBackend, type CpuBackendOptions } from "./cpu-backend.js";
export { plugin } from "./plugin.js";
