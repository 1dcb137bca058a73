import { basename, dirname, resolve } from "node:path";
import { canonicalTensors, readCheckpoint, readModelConfig, type CheckpointFile, type ModelFolder } from "@atlas-tv/checkpoints";
import { configFromWeights, knownModel, knownModelNames, readClipConfig, type ClipConfig } from "@atlas-tv/clip";
import { CLIP_NORMALISATION, InputError, type Normalisation } from "@atlas-tv/core";

/** What a model is, and how pixels are normalised for it. */
export interface Architecture {
  readonly config: ClipConfig;
  readonly normalisation: Normalisation;
}

/** Names that the model may be known by: its folder's, its file's, and the one that linearised checkpoints note. */
function namesOf({ path, name }: ModelFolder, { metadata }: CheckpointFile): string[] {
  return [metadata["model_name"] ?? "", name, basename(resolve(path)), basename(dirname(resolve(path)))];
}

/** What a whole saved module says about itself, or what its shapes say of one of the known models. */
function fromWeights(base: CheckpointFile, where: string): ClipConfig | null {
  if (base.module === null) return null;
  const { heads, quickGelu } = base.module;
  const tensors = canonicalTensors(base.tensors, where);
  if (heads.visual !== null && quickGelu !== null) return configFromWeights(tensors, { heads, quickGelu }, where);
  if (base.format !== "torchscript") return null;
  // OpenAI's own archives do not say how many heads they have: those of its models are 64 wide, and no other.
  const vision = (config: ClipConfig): string => JSON.stringify([config.embed_dim, config.vision_cfg]);
  const guess = vision(configFromWeights(tensors, { heads: { visual: null, text: null }, quickGelu: true }, where));
  return knownModelNames().map((name) => knownModel(name)).find((config) => vision(config) === guess) ?? null;
}

/**
 * The architecture of a model: from the file that `--config` names, from the configuration beside the weights, from the
 * weights where a whole module was saved, or by the model's name.
 * @throws InputError when none of them tells.
 */
export async function findArchitecture(folder: ModelFolder, configFile: string | undefined): Promise<Architecture> {
  if (configFile !== undefined) {
    const given = readModelConfig(configFile);
    const { config } = readClipConfig(given.document, configFile);
    return { config, normalisation: given.normalisation ?? folder.normalisation };
  }
  if (folder.config !== null) {
    return { config: readClipConfig(folder.config, folder.configPath ?? folder.path).config, normalisation: folder.normalisation };
  }
  return readCheckpoint(folder.basePath, (base) => {
    const own = fromWeights(base, folder.basePath);
    const known = namesOf(folder, base).find((name) => knownModelNames().includes(name));
    if (own === null && known === undefined) {
      throw new InputError({
        where: folder.basePath,
        got: `${base.description}, without a configuration, under a name that is none of the known models'`,
        expected: `open_clip_config.json or config.json beside it, a whole module, or a folder named ${knownModelNames().join(", ")}`,
        next: "give the model's configuration with --config FILE (open_clip's or Hugging Face's JSON)",
      });
    }
    return Promise.resolve({ config: own ?? knownModel(known!), normalisation: CLIP_NORMALISATION });
  });
}
