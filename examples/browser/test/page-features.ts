/** Features of an image as the page computes them, and as the command line does. */
import { basename, dirname } from "node:path";
import { CpuBackend } from "@atlas-tv/backend-cpu";
import { loadBase, openCheckpoint, openModelFolder, readComposition } from "@atlas-tv/checkpoints";
import { runAtlas } from "@atlas-tv/cli";
import { parseClipConfig, visionSpec } from "@atlas-tv/clip";
import { encode, imageInputs, isotropic, Random, validationTransform } from "@atlas-tv/core";
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

/**
 * Features of an image under the composition in `file`, by way of `atlas merge` and the CPU backend.
 * @param model the folder of the model that it was learned for.
 */
export async function featuresByCli(file: string, image: TestImage, model: string): Promise<Float32Array> {
  const merged = `${file}-merged.safetensors`;
  const errors: string[] = [];
  const base = ["--model", basename(model), "--checkpoints", dirname(model)];
  const status = await runAtlas(["merge", "--composition", file, "--out", merged, ...base], { out: () => undefined, note: (line) => errors.push(line), signal: new AbortController().signal });
  if (status !== 0) throw new Error(`atlas merge ended with ${status}: ${errors.join("\n")}`);
  const { normalisation } = openModelFolder(model);
  const spec = visionSpec(parseClipConfig((await readComposition(file)).model));
  await using checkpoint = await openCheckpoint(merged);
  const backend = new CpuBackend();
  await backend.activate();
  const encoder = await backend.compile(spec, await loadBase(spec, checkpoint.tensors, merged), [], isotropic());
  const composed = await encoder.compose(encoder.initialCoefficients());
  const pixels = validationTransform(spec.imageSize, normalisation).pixels(decodePng(image.bytes), new Random(0));
  const features = await encode(composed, imageInputs([pixels], normalisation));
  const values = Float32Array.from(await features.data<"float32">());
  features.dispose();
  composed.dispose();
  encoder.dispose();
  return values;
}
