/** What was found when WebGPU was looked for. */
export interface GraphicsAnswer {
  /** `navigator.gpu` of a browser, or Dawn's; null where there is none. */
  readonly gpu: GPU | null;
  readonly versions: Readonly<Record<string, string>>;
  /** Why there is none and what to do; empty otherwise. */
  readonly missing: readonly string[];
  /** What to do where WebGPU finds no adapter. */
  readonly withoutAdapter: string;
  /** Called with each device that is opened. */
  readonly onDevice?: (device: GPUDevice) => void;
}

/** Where WebGPU comes from: the browser, or Dawn in Node. Asked again, it gives the same `gpu`. */
export type Graphics = () => Promise<GraphicsAnswer>;
