import { encodeComposition, type HashedFile } from "@atlas-tv/checkpoints";
import {
  blockwise, encode, encodeAll, headLogits, imageInputs, InputError, Random, validationTransform,
  type ClassificationHead, type CompiledEncoder, type ImageSource, type NamedArrays, type PixelImage, type TaskVector,
} from "@atlas-tv/core";
import { decodeImageBlob, evaluationBatches } from "@atlas-tv/datasets";
import * as tf from "@tensorflow/tfjs-core";
import { adapt, type AdaptationHooks, type AdaptationSettings, type EpochReport } from "./adaptation.js";
import { classHead, type ClassHead } from "./class-head.js";
import { chooseCompute, type Candidate, type Compute, type ComputeWish } from "./compute.js";
import { loadModel, type LoadedModel } from "./loaded-model.js";
import { locateModel, type ModelLocation } from "./model-location.js";
import type { LabelledPicture } from "./picture-set.js";

export interface ComputeSummary {
  readonly device: string;
  readonly remarks: readonly string[];
}

export interface ModelSummary {
  readonly name: string;
  readonly imageSize: number;
  /** Names of the parameter blocks: columns of the coefficients. */
  readonly blocks: readonly string[];
  readonly tasks: readonly string[];
}

export interface LearningTask {
  readonly classNames: readonly string[];
  /** Prompts with `{}` for the class name. */
  readonly templates: readonly string[];
  readonly learning: readonly LabelledPicture[];
  readonly checking: readonly LabelledPicture[];
  /** Names of the task vectors to combine. */
  readonly tasks: readonly string[];
  readonly settings: AdaptationSettings;
}

export interface Result {
  readonly reports: readonly EpochReport[];
  readonly stopped: boolean;
  readonly seconds: number;
  readonly head: Pick<ClassHead, "from" | "remark">;
}

/** An image under the pre-trained and under the adapted model. */
export interface Prediction {
  readonly classNames: readonly string[];
  /** Probabilities by class. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** `(D)` of the adapted encoder, not normalised. */
  readonly features: Float32Array;
}

/** What was learned, and all that is needed to apply it. */
interface Learned {
  readonly model: LoadedModel;
  readonly encoder: CompiledEncoder;
  readonly head: ClassificationHead;
  readonly coefficients: NamedArrays;
  readonly files: readonly HashedFile[];
  readonly seed: number;
}

async function decoded(name: string, pictures: readonly LabelledPicture[], classNames: readonly string[]): Promise<ImageSource> {
  const images: PixelImage[] = [];
  for (const picture of pictures) images.push(await decodeImageBlob(picture.blob, picture.name));
  return {
    name,
    length: images.length,
    classNames,
    labels: Int32Array.from(pictures, ({ label }) => label),
    image: (index) => Promise.resolve(images[index]!),
  };
}

const blockNames = (model: LoadedModel): string[] => model.spec.blocks.map(({ name }) => name);

/** All that the page computes, without the page: it lives in a worker, and in Node for tests. */
export class Session {
  readonly #candidates: readonly Candidate[];
  #compute: Compute | null = null;
  #model: LoadedModel | null = null;
  #vectors = new Map<string, Promise<{ vector: TaskVector; file: HashedFile }>>();
  #learned: Learned | null = null;
  #stop: AbortController | null = null;

  constructor(candidates: readonly Candidate[]) {
    this.#candidates = candidates;
  }

  /** Chooses what to compute with. What was learned with another backend is forgotten. */
  async start(wish: ComputeWish): Promise<ComputeSummary> {
    this.#requireIdle();
    this.#forget();
    this.#compute = await chooseCompute(wish, this.#candidates);
    const { device, remarks } = this.#compute;
    return { device, remarks };
  }

  /** Opens a model. What was learned with another one is forgotten. */
  async open(location: ModelLocation): Promise<ModelSummary> {
    this.#requireIdle();
    const model = await loadModel(await locateModel(location));
    this.#forget();
    this.#model = model;
    this.#vectors = new Map();
    return { name: model.opened.name, imageSize: model.spec.imageSize, blocks: blockNames(model), tasks: model.opened.tasks };
  }

  /** @throws InputError when the bytes are no image. */
  async checkImage(blob: Blob, name: string): Promise<{ width: number; height: number }> {
    const { width, height } = await decodeImageBlob(blob, name);
    return { width, height };
  }

  /** Learns coefficients; `stop` ends it early and keeps the last whole epoch. */
  async learn(task: LearningTask, onStep: NonNullable<AdaptationHooks["onStep"]>, onEpoch: NonNullable<AdaptationHooks["onEpoch"]>): Promise<Result> {
    const { model, backend } = this.#ready();
    this.#requireIdle();
    const stop = new AbortController();
    this.#stop = stop;
    const started = performance.now();
    try {
      const [learning, checking] = [await decoded("learning", task.learning, task.classNames), await decoded("checking", task.checking, task.classNames)];
      const loaded = await Promise.all(task.tasks.map((name) => this.#vector(model, name)));
      if (loaded.length === 0) throw new InputError({ where: "task vectors", got: "none", expected: "at least one", next: "tick one under Model" });
      this.#forget();
      const encoder = await backend.compile(model.spec, model.base, loaded.map(({ vector }) => vector), blockwise());
      const { normalisation } = model.opened;
      const { head, ...about } = await classHead(model, backend, task.classNames, task.templates, async () => {
        const transform = validationTransform(model.spec.imageSize, normalisation);
        const composed = await encoder.compose(encoder.initialCoefficients());
        try {
          return await encodeAll(composed, evaluationBatches({ source: learning, batchSize: 64, transform }));
        } finally {
          composed.dispose();
        }
      });
      const hooks = { onStep, onEpoch, signal: stop.signal };
      const { coefficients, reports, stopped } = await adapt({ encoder, spec: model.spec, normalisation, head, learning, checking, settings: task.settings }, hooks);
      this.#learned = { model, encoder, head, coefficients, files: loaded.map(({ file }) => file), seed: task.settings.seed };
      return { reports, stopped, seconds: (performance.now() - started) / 1000, head: about };
    } finally {
      this.#stop = null;
    }
  }

  stop(): void {
    this.#stop?.abort();
  }

  /** What the pre-trained and the adapted model see in an image. */
  async predict(blob: Blob, name: string): Promise<Prediction> {
    const { model, encoder, head, coefficients } = this.#result();
    const { imageSize } = model.spec;
    const pixels = validationTransform(imageSize, model.opened.normalisation).pixels(await decodeImageBlob(blob, name), new Random(0));
    const inputs = imageInputs([pixels], model.opened.normalisation);
    const look = async (values: NamedArrays): Promise<{ probabilities: number[]; features: Float32Array }> => {
      const composed = await encoder.compose(values);
      try {
        const features = await encode(composed, inputs);
        const probabilities = tf.tidy(() => tf.softmax(headLogits(head, features)));
        const seen = { probabilities: [...(await probabilities.data())], features: Float32Array.from(await features.data<"float32">()) };
        tf.dispose([features, probabilities]);
        return seen;
      } finally {
        composed.dispose();
      }
    };
    const before = await look(encoder.initialCoefficients());
    const after = await look(coefficients);
    return { classNames: head.classNames, before: before.probabilities, after: after.probabilities, features: after.features };
  }

  /** `composition.safetensors`, as `atlas eval` and `atlas merge` read it. */
  async composition(): Promise<Blob> {
    const { model, encoder, coefficients, files, seed } = this.#result();
    const chunks: BlobPart[] = [];
    const artefact = {
      coefficients,
      shapes: encoder.composition.shapes(model.spec.blocks, files.length),
      composition: encoder.composition.id,
      mode: "standard" as const,
      blocks: blockNames(model),
      taskVectors: files,
      base: model.baseFile,
      model: JSON.parse(JSON.stringify(model.opened.config)),
      seed,
    };
    for await (const chunk of encodeComposition(artefact)) chunks.push(new Uint8Array(chunk));
    return new Blob(chunks, { type: "application/octet-stream" });
  }

  #vector(model: LoadedModel, name: string): Promise<{ vector: TaskVector; file: HashedFile }> {
    const known = this.#vectors.get(name) ?? model.vector(name);
    this.#vectors.set(name, known);
    known.catch(() => this.#vectors.delete(name));
    return known;
  }

  #ready(): { model: LoadedModel; backend: Compute["backend"] } {
    if (this.#model === null || this.#compute === null) throw new Error("no model is open yet");
    return { model: this.#model, backend: this.#compute.backend };
  }

  #result(): Learned {
    if (this.#learned === null) throw new Error("nothing has been learned yet");
    return this.#learned;
  }

  #requireIdle(): void {
    if (this.#stop !== null) throw new Error("learning is under way: stop it first");
  }

  #forget(): void {
    this.#learned?.encoder.dispose();
    this.#learned = null;
  }
}
