export { CpuBackend, type CpuBackendOptions } from "./cpu-backend.js";
export { estimateMemory, type MemoryNeed, type MemoryPlan } from "./memory-estimate.js";
export { plugin } from "./plugin.js";
