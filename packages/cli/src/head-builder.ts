import { canonicalTensors, loadBase, openCheckpoint } from "@atlas-tv/checkpoints";
import { firstColumns, shortenedText, textSpec, usedLength, WordTokenizer, zeroShotHead, zeroShotPrompts } from "@atlas-tv/clip";
import { dense, InputError, readFloat32, type Backend, type ClassificationHead, type Dataset } from "@atlas-tv/core";
import type { LoadedModel } from "./loaded-model.js";
import { modelTokenizer } from "./text-tokenizer.js";

/** Messages about unknown words name so many classes. */
const NAMED_CLASSES = 5;

export interface HeadContext {
  readonly backend: Backend;
  readonly threads?: number;
  /** Receives what a reader should know about the head. */
  readonly remark: (text: string) => void;
  /** Told how many prompts are embedded, of how many. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** What a head is built from: a data set's name, its classes in the order of its labels, and templates with `{}`. */
export type Prompts = Pick<Dataset, "name" | "classNames" | "templates">;

/** The words of a class name that the text encoder never saw. */
function unknownWords(tokenizer: WordTokenizer, className: string): { unknown: string[]; count: number } {
  const words = className.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
  return { unknown: words.filter((word) => tokenizer.encode([word]).data.includes(tokenizer.unknownId)), count: words.length };
}

function checkWords(tokenizer: WordTokenizer, dataset: Prompts, model: LoadedModel, remark: (text: string) => void): void {
  const found = dataset.classNames.map((name) => ({ name, ...unknownWords(tokenizer, name) }));
  const blank = found.filter(({ unknown, count }) => unknown.length === count);
  if (blank.length > 0) {
    const names = blank.slice(0, NAMED_CLASSES).map(({ name }) => `"${name}"`).join(", ");
    const others = blank.length > NAMED_CLASSES ? ` and ${blank.length - NAMED_CLASSES} more` : "";
    throw new InputError({
      where: `head of ${dataset.name}`,
      got: `class ${blank.length === 1 ? "name" : "names"} ${names}${others} without any word that the model knows`,
      expected: `at least one word of the ${tokenizer.words.length} in vocabulary.json in every class name`,
      next:
        `rename in words of that list, or put head_${dataset.name}Val.safetensors into ${model.folder.path}: ` +
        `atlas head --class-names FILE --templates FILE --name "${dataset.name}" makes it from names of your own`,
    });
  }
  const partly = found.filter(({ unknown }) => unknown.length > 0);
  for (const { name, unknown, count } of partly.slice(0, NAMED_CLASSES)) {
    remark(`${unknown.length} of ${count} words of class name "${name}" are unknown to the model: ${unknown.join(", ")}`);
  }
  if (partly.length > NAMED_CLASSES) remark(`${partly.length - NAMED_CLASSES} more class names have unknown words`);
}

/** Builds the zero-shot head of a data set from its class names, with the model's own text encoder. */
export async function buildHead(
  model: LoadedModel,
  dataset: Prompts,
  { backend, threads, remark, onProgress, signal }: HeadContext,
): Promise<ClassificationHead> {
  const spec = textSpec(model.config);
  const tokenizer = await modelTokenizer(model, `head of ${dataset.name}`);
  if (tokenizer instanceof WordTokenizer) checkWords(tokenizer, dataset, model, remark);
  const file = await openCheckpoint(model.folder.basePath);
  try {
    const scale = canonicalTensors(file.tensors, model.folder.basePath).get("logit_scale");
    if (scale === undefined) {
      throw new InputError({
        where: model.folder.basePath,
        got: "no logit_scale",
        expected: "a full CLIP: image encoder, text encoder and logit_scale",
      });
    }
    const [logitScale = 0] = await readFloat32(scale, "logit_scale");
    // Prompts are a few tokens long: an encoder of their length does a fraction of the work.
    const length = usedLength(tokenizer.encode(zeroShotPrompts(dataset)));
    const short = shortenedText(spec, await loadBase(spec, file.tensors, model.folder.basePath), length);
    const encoder = await backend.compile(
      short.spec,
      short.base,
      [],
      dense(),
      threads === undefined ? {} : { threads },
    );
    try {
      return await zeroShotHead({
        encoder,
        tokenize: (texts) => firstColumns(tokenizer.encode(texts), length),
        classNames: dataset.classNames,
        templates: dataset.templates,
        logitScale,
        name: dataset.name,
        ...(onProgress === undefined ? {} : { onProgress }),
        ...(signal === undefined ? {} : { signal }),
      });
    } finally {
      encoder.dispose();
    }
  } finally {
    await file.close();
  }
}
