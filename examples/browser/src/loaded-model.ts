import { loadBase, openModelFiles, sha256Source, type HashedFile, type ModelFiles, type OpenedModel } from "@atlas-tv/checkpoints";
import { parseClipConfig, textSpec, visionSpec, WordTokenizer, type ClipConfig } from "@atlas-tv/clip";
import { InputError, readFloat32, type ImageEncoderSpec, type NamedHostTensors, type TaskVector } from "@atlas-tv/core";

const VOCABULARY = "vocabulary.json";

/** The text side of a model, where it came along: what turns class names into a head. */
export interface TextSide {
  readonly tokenizer: WordTokenizer;
  readonly spec: ReturnType<typeof textSpec>;
  readonly weights: NamedHostTensors;
}

/** A pre-trained CLIP and its task vectors, as they were opened. */
export interface LoadedModel {
  readonly opened: OpenedModel;
  readonly config: ClipConfig;
  readonly spec: ImageEncoderSpec;
  readonly base: NamedHostTensors;
  readonly baseFile: HashedFile;
  /** ln of the scale of logits. */
  readonly logitScale: number;
  /** Null where the model has no words. */
  readonly text: TextSide | null;
  /** A task vector and the hash of its file. */
  vector(task: string): Promise<{ readonly vector: TaskVector; readonly file: HashedFile }>;
}

/** CLIP's own scale, 100, where a file holds only the image encoder. */
const DEFAULT_LOGIT_SCALE = Math.log(100);

async function readTokenizer(files: ModelFiles): Promise<WordTokenizer | null> {
  if (!files.paths.includes(VOCABULARY)) return null;
  const source = await files.open(VOCABULARY);
  try {
    return WordTokenizer.fromJSON(JSON.parse(new TextDecoder().decode(await source.read(0, source.size))), VOCABULARY);
  } catch (cause) {
    if (cause instanceof InputError) throw cause;
    throw new InputError({ where: VOCABULARY, got: "text that is not JSON", expected: "the words of the text encoder" }, { cause });
  }
}

/**
 * Reads θ0 and what lies beside it; task vectors only when they are asked for.
 * @throws InputError when files are missing, damaged or do not fit the configuration.
 */
export async function loadModel(files: ModelFiles): Promise<LoadedModel> {
  const opened = await openModelFiles(files);
  const config = parseClipConfig(opened.config);
  const spec = visionSpec(config);
  const { tensors } = await opened.baseTensors();
  const tokenizer = await readTokenizer(files);
  const scale = tensors.get("logit_scale");
  const hashed = async (name: string, path: string): Promise<HashedFile> => ({ name, sha256: await sha256Source(await files.open(path)) });
  return {
    opened,
    config,
    spec,
    base: await loadBase(spec, tensors, opened.basePath),
    baseFile: await hashed(opened.name, opened.basePath),
    logitScale: scale === undefined ? DEFAULT_LOGIT_SCALE : (await readFloat32(scale, "logit_scale"))[0]!,
    text: tokenizer === null ? null : { tokenizer, spec: textSpec(config), weights: await loadBase(textSpec(config), tensors, opened.basePath) },
    vector: async (task) => ({ vector: await opened.taskVector(task, spec), file: await hashed(task, opened.taskPath(task)) }),
  };
}
