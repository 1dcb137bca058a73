import {
  AbortedError, classificationHead, encode, InputError, type ClassificationHead, type CompiledEncoder, type ComposedEncoder, type EncoderInputs,
} from "@atlas-tv/core";

/** Prompts embedded at once unless the caller says otherwise: keeps a full-size text tower within a few hundred MB. */
const DEFAULT_BATCH = 64;

export interface ZeroShotHeadOptions {
  /** The text encoder; a compiled one is composed at its initial coefficients. */
  readonly encoder: CompiledEncoder | ComposedEncoder;
  /** Token ids `(texts, contextLength)` of texts. */
  readonly tokenize: (texts: readonly string[]) => EncoderInputs | Promise<EncoderInputs>;
  readonly classNames: readonly string[];
  /** Each holds `{}` where the class name goes. */
  readonly templates: readonly string[];
  /** CLIP's parameter `logit_scale`, the natural logarithm of the scale. */
  readonly logitScale: number;
  /** Name of the head, usually that of the data set. */
  readonly name: string;
  /** Prompts embedded at once. Default 64. */
  readonly batchSize?: number;
  /** Told after each batch how many prompts are embedded, of how many. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Ends the work before the next batch. */
  readonly signal?: AbortSignal;
}

/** Every class name in every template, class by class. */
export function zeroShotPrompts({ classNames, templates }: Pick<ZeroShotHeadOptions, "classNames" | "templates">): string[] {
  return classNames.flatMap((className) => templates.map((template) => template.replaceAll("{}", () => className)));
}

/** Adds `vector` divided by its Euclidean length to `sum`. */
function addNormalised(sum: Float64Array, vector: ArrayLike<number>, scale = 1): void {
  let square = 0;
  for (let i = 0; i < vector.length; i++) square += vector[i]! * vector[i]!;
  const factor = scale / Math.sqrt(square);
  for (let i = 0; i < vector.length; i++) sum[i]! += vector[i]! * factor;
}

function checkPrompts({ classNames, templates, name, batchSize = DEFAULT_BATCH }: ZeroShotHeadOptions): void {
  const where = `zero-shot head "${name}"`;
  if (classNames.length === 0) throw new InputError({ where, got: "no class names", expected: "at least one" });
  if (templates.length === 0) throw new InputError({ where, got: "no templates", expected: "at least one" });
  const bad = templates.find((template) => !template.includes("{}"));
  if (bad !== undefined) throw new InputError({ where, got: `template "${bad}"`, expected: "{} where the class name goes" });
  if (Number.isInteger(batchSize) && batchSize >= 1) return;
  throw new InputError({ where, got: `batchSize ${batchSize}`, expected: "a whole number, at least 1" });
}

async function embedClasses(encoder: ComposedEncoder, options: ZeroShotHeadOptions): Promise<ClassificationHead> {
  const { tokenize, classNames, templates, logitScale, name, batchSize = DEFAULT_BATCH, onProgress, signal } = options;
  const prompts = zeroShotPrompts(options);
  const sums: Float64Array[] = [];
  for (let from = 0; from < prompts.length; from += batchSize) {
    if (signal?.aborted === true) throw new AbortedError(`stopped while head "${name}" was built`);
    const texts = prompts.slice(from, from + batchSize);
    const inputs = await tokenize(texts);
    if (inputs.shape[0] !== texts.length) {
      throw new InputError({
        where: `tokenize of zero-shot head "${name}"`,
        got: `${inputs.shape[0]} rows of token ids`,
        expected: `${texts.length}, one for each text`,
      });
    }
    const features = await encode(encoder, inputs);
    const values = await features.data();
    const [rows, width] = features.shape;
    features.dispose();
    for (let row = 0; row < rows; row++) {
      const sum = (sums[Math.floor((from + row) / templates.length)] ??= new Float64Array(width));
      addNormalised(sum, values.subarray(row * width, (row + 1) * width));
    }
    onProgress?.(from + rows, prompts.length);
  }
  const width = sums[0]!.length;
  const weight = new Float32Array(classNames.length * width);
  sums.forEach((sum, label) => {
    const unit = new Float64Array(width);
    addNormalised(unit, sum, Math.exp(logitScale));
    weight.set(unit, label * width);
  });
  return classificationHead({ name, classNames, weight, width });
}

/**
 * CLIP's zero-shot classifier (Radford et al. 2021, section 3.1.4): every prompt's embedding normalised, averaged over
 * the templates of a class, normalised, times exp(logit_scale).
 * @throws AbortedError when the signal ends it, and InputError for a template without `{}`, for no classes or no templates, for a tokenizer that drops or adds texts.
 */
export async function zeroShotHead(options: ZeroShotHeadOptions): Promise<ClassificationHead> {
  checkPrompts(options);
  const { encoder } = options;
  if ("features" in encoder) return embedClasses(encoder, options);
  const composed = await encoder.compose(encoder.initialCoefficients());
  try {
    return await embedClasses(composed, options);
  } finally {
    composed.dispose();
  }
}
