import type { GradConfig } from "@tensorflow/tfjs-core";

/** One configuration per differentiable kernel of tfjs-core. */
export declare const gradientConfigs: readonly GradConfig[];
