export { CudaBackend, type CudaBackendOptions } from "./cuda-backend.js";
export { plugin } from "./plugin.js";
export { findRuntime, runtimeFolder, type Runtime } from "./runtime-folder.js";
export { setUpRuntime, type RuntimeSetUpOptions } from "./runtime-setup.js";
export { RELEASE, type RuntimeKind } from "./tensorflow-release.js";
