import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensorsFile, writeTaskVector } from "@atlas-tv/checkpoints";
import { textSpec, visionSpec, WordTokenizer, type ClipConfigInput } from "@atlas-tv/clip";
import { Random, randomParameters, widen, type HostTensor, type NamedHostTensors } from "@atlas-tv/core";

/** What the text encoder of the tiny model knows. */
export const WORDS = ["a", "photo", "of", "red", "green", "blue", "square", "round"];

const CONTEXT = 10;
const tokenizer = new WordTokenizer(WORDS, CONTEXT);

/** As small as a CLIP can be while every kind of block occurs. */
export const CONFIG: ClipConfigInput = {
  embed_dim: 16,
  quick_gelu: true,
  vision_cfg: { image_size: 16, layers: 1, width: 16, head_width: 8, patch_size: 8 },
  text_cfg: { context_length: CONTEXT, vocab_size: tokenizer.vocabularySize, width: 16, heads: 2, layers: 1 },
};

export const SPEC = visionSpec(CONFIG);

/** Tasks of the tiny model: Alpha and Gamma have task vectors, Beta a fine-tuned model. */
export const TASKS = ["Alpha", "Beta", "Gamma"];

function full(random: Random): Map<string, HostTensor> {
  return new Map([
    ...randomParameters(SPEC, random.fork("image")),
    ...randomParameters(textSpec(CONFIG), random.fork("text")),
    ["logit_scale", { dtype: "F32", shape: [], data: Float32Array.of(Math.log(20)) }],
  ]);
}

function moved(base: NamedHostTensors, random: Random): NamedHostTensors {
  return new Map(
    SPEC.blocks.map(({ name, shape }): [string, HostTensor] => {
      const draws = random.fork(name);
      return [name, { dtype: "F32", shape, data: widen(base.get(name)!).map((value) => value + 0.1 * draws.normal()) }];
    }),
  );
}

/** Files that another tool's model is made of, without its tasks. */
export function writeAbout(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    join(folder, "open_clip_config.json"),
    JSON.stringify({ model_cfg: CONFIG, preprocess_cfg: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } }),
  );
  writeFileSync(join(folder, "vocabulary.json"), JSON.stringify(tokenizer.toJSON()));
}

/** Writes a model folder: base with text tower, three tasks, and a saved head of three classes for the data set "swatches". */
export async function writeTinyModel(folder: string, seed: number | string = 7): Promise<void> {
  const random = new Random(seed);
  const base = full(random);
  writeAbout(folder);
  await writeSafetensorsFile(join(folder, "zeroshot.safetensors"), base, { format: "pt" });
  for (const task of TASKS) {
    const finetuned = moved(base, random.fork(task));
    if (task === "Beta") {
      await writeSafetensorsFile(join(folder, `${task}Val`, "finetuned.safetensors"), finetuned, { format: "pt" });
      continue;
    }
    const blocks = new Map(
      [...finetuned].map(([name, { shape, ...after }]): [string, HostTensor] => {
        const before = widen(base.get(name)!);
        return [name, { dtype: "F32", shape, data: Float32Array.from(after.data, (value, i) => value - before[i]!) }];
      }),
    );
    await writeTaskVector(join(folder, `${task}Val`, "task_vector.safetensors"), { name: task, blocks });
  }
  const draws = random.fork("head");
  const weight: HostTensor = {
    dtype: "F32",
    shape: [3, SPEC.outputWidth],
    data: Float32Array.from({ length: 3 * SPEC.outputWidth }, () => 5 * draws.normal()),
  };
  await writeSafetensorsFile(join(folder, "head_swatchesVal.safetensors"), new Map([["weight", weight]]), {
    class_names: JSON.stringify(["blue", "green", "red"]),
  });
}
