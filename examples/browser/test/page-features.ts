/** Features of an image as the page computes them, and as the command line does. */
import { CpuBackend } from "@atlas-tv/backend-cpu";
import { loadBase, openCheckpoint, readComposition } from "@atlas-tv/checkpoints";
import { runAtlas } from "@atlas-tv/cli";
import { parseClipConfig, visionSpec } from "@atlas-tv/clip";
import { encode, HALF_NORMALISATION, imageInputs, isotropic, Random, validationTransform } from "@atlas-tv/core";
import { decodePng } from "@atlas-tv/datasets";
import type { Page } from "playwright-core";
import type { TestImage } from "./static-page.js";

/** Messages of the worker, as the page receives them. */
export async function recordWorkers(page: Page): Promise<void> {
  await page.addInitScript(() => {
    const messages: unknown[] = [];
    const Original = Worker;
    Object.assign(globalThis, {
      workerMessages: messages,
      Worker: class extends Original {
        constructor(url: string | URL, options?: WorkerOptions) {
          super(url, options);
          this.addEventListener("message", ({ data }) => messages.push(data));
        }
      },
    });
  });
}

/** The features that came with the last prediction. */
export async function predictedFeatures(page: Page): Promise<Float32Array> {
  const values = await page.evaluate(() => {
    const { workerMessages } = globalThis as unknown as { workerMessages: { value?: { features?: Float32Array } }[] };
    return [...workerMessages.flatMap(({ value }) => (value?.features instanceof Float32Array ? [value.features] : [])).at(-1)!];
  });
  return Float32Array.from(values);
}

/** Features of an image under the composition in `file`, by way of `atlas merge` and the CPU backend. */
export async function featuresByCli(file: string, image: TestImage): Promise<Float32Array> {
  const merged = `${file}-merged.safetensors`;
  const errors: string[] = [];
  const status = await runAtlas(["merge", "--composition", file, "--out", merged], { out: () => undefined, note: (line) => errors.push(line), signal: new AbortController().signal });
  if (status !== 0) throw new Error(`atlas merge ended with ${status}: ${errors.join("\n")}`);
  const { model } = await readComposition(file);
  const spec = visionSpec(parseClipConfig(model));
  await using checkpoint = await openCheckpoint(merged);
  const backend = new CpuBackend();
  await backend.activate();
  const encoder = await backend.compile(spec, await loadBase(spec, checkpoint.tensors, merged), [], isotropic());
  const composed = await encoder.compose(encoder.initialCoefficients());
  const pixels = validationTransform(spec.imageSize, HALF_NORMALISATION).pixels(decodePng(image.bytes), new Random(0));
  const features = await encode(composed, imageInputs([pixels], HALF_NORMALISATION));
  const values = Float32Array.from(await features.data<"float32">());
  features.dispose();
  composed.dispose();
  encoder.dispose();
  return values;
}
