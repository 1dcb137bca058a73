import { loadBase, openModelFiles, sha256Source, type HashedFile, type ModelFiles, type OpenedModel } from "@atlas-tv/checkpoints";
import { parseClipConfig, visionSpec, type ClipConfig } from "@atlas-tv/clip";
import { readFloat32, type ImageEncoderSpec, type NamedHostTensors, type TaskVector } from "@atlas-tv/core";
import { loadTextSide, type TextSide } from "./text-side.js";

/** A pre-trained CLIP and its task vectors, as they were opened. */
export interface LoadedModel {
  readonly opened: OpenedModel;
  readonly config: ClipConfig;
  readonly spec: ImageEncoderSpec;
  readonly base: NamedHostTensors;
  readonly baseFile: HashedFile;
  /** ln of the scale of logits. */
  readonly logitScale: number;
  /** What turns class names into a head; null where the model has none. */
  readonly text: TextSide | null;
  /** A task vector and the hash of its file. */
  vector(task: string): Promise<{ readonly vector: TaskVector; readonly file: HashedFile }>;
}

/** CLIP's own scale, 100, where a file holds only the image encoder. */
const DEFAULT_LOGIT_SCALE = Math.log(100);

/**
 * Reads θ0 and what lies beside it; task vectors only when they are asked for.
 * @throws InputError when files are missing, damaged or do not fit the configuration.
 */
export async function loadModel(files: ModelFiles): Promise<LoadedModel> {
  const opened = await openModelFiles(files);
  const config = parseClipConfig(opened.config);
  const spec = visionSpec(config);
  const file = await opened.baseTensors();
  const scale = file.tensors.get("logit_scale");
  const hashed = async (name: string, path: string): Promise<HashedFile> => ({ name, sha256: await sha256Source(await files.open(path)) });
  return {
    opened,
    config,
    spec,
    base: await loadBase(spec, file.tensors, opened.basePath),
    baseFile: await hashed(opened.name, opened.basePath),
    logitScale: scale === undefined ? DEFAULT_LOGIT_SCALE : (await readFloat32(scale, "logit_scale"))[0]!,
    text: await loadTextSide(files, config, file, opened.basePath),
    vector: async (task) => ({ vector: await opened.taskVector(task, spec), file: await hashed(task, opened.taskPath(task)) }),
  };
}
