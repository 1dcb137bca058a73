/**
 * CLIP's tensors as open_clip (and OpenAI, which it follows) and as Hugging Face's `CLIPModel` name them. Three things
 * differ beside the names: Hugging Face has three matrices where open_clip has one `in_proj` of query, key and value, and
 * holds both projections transposed.
 */
import { sameShape, type StateDict, type StoredTensor } from "@atlas-tv/core";
import { joined, partOf, transposed } from "./rearranged-tensor.js";

/** Parts of a name, open_clip's first; the same in both towers. */
const PARTS: readonly (readonly [string, string])[] = [
  ["transformer.resblocks.", "encoder.layers."],
  [".ln_1.", ".layer_norm1."],
  [".ln_2.", ".layer_norm2."],
  [".attn.out_proj.", ".self_attn.out_proj."],
  [".mlp.c_fc.", ".mlp.fc1."],
  [".mlp.c_proj.", ".mlp.fc2."],
];

const IMAGE = "vision_model.";
const TEXT = "text_model.";

/** Whole names within the image tower: open_clip's after `visual.`, Hugging Face's after `vision_model.`. */
const OF_IMAGE: readonly (readonly [string, string])[] = [
  ["class_embedding", "embeddings.class_embedding"],
  ["positional_embedding", "embeddings.position_embedding.weight"],
  ["conv1.weight", "embeddings.patch_embedding.weight"],
  // Spelt so by Hugging Face.
  ["ln_pre.weight", "pre_layrnorm.weight"],
  ["ln_pre.bias", "pre_layrnorm.bias"],
  ["ln_post.weight", "post_layernorm.weight"],
  ["ln_post.bias", "post_layernorm.bias"],
];

/** Whole names within the text tower: open_clip's as they are, Hugging Face's after `text_model.`. */
const OF_TEXT: readonly (readonly [string, string])[] = [
  ["positional_embedding", "embeddings.position_embedding.weight"],
  ["token_embedding.weight", "embeddings.token_embedding.weight"],
  ["ln_final.weight", "final_layer_norm.weight"],
  ["ln_final.bias", "final_layer_norm.bias"],
];

/** Matrices that Hugging Face holds transposed. */
const PROJECTIONS: readonly (readonly [string, string])[] = [
  ["visual.proj", "visual_projection.weight"],
  ["text_projection", "text_projection.weight"],
];

const QUERY_KEY_VALUE = ["q", "k", "v"] as const;

const reversed = (pairs: readonly (readonly [string, string])[]): [string, string][] => pairs.map(([ours, theirs]) => [theirs, ours]);

const IMAGE_TO_OPEN_CLIP = new Map(reversed(OF_IMAGE));
const TEXT_TO_OPEN_CLIP = new Map(reversed(OF_TEXT));
const IMAGE_FROM_OPEN_CLIP = new Map(OF_IMAGE);
const TEXT_FROM_OPEN_CLIP = new Map(OF_TEXT);
const PROJECTIONS_TO_OPEN_CLIP = new Map(reversed(PROJECTIONS));
const PROJECTIONS_FROM_OPEN_CLIP = new Map(PROJECTIONS);

const replaced = (name: string, pairs: readonly (readonly [string, string])[]): string => pairs.reduce((text, [from, to]) => text.replace(from, to), name);

/** Whether names are Hugging Face's. */
export function isHuggingFace(names: Iterable<string>): boolean {
  for (const name of names) if (name.startsWith(IMAGE) || name.startsWith(TEXT) || PROJECTIONS_TO_OPEN_CLIP.has(name)) return true;
  return false;
}

/** open_clip's name of a tensor that Hugging Face names otherwise; any other name as it is. */
function openClipName(name: string): string {
  for (const [tower, prefix, whole] of [[IMAGE, "visual.", IMAGE_TO_OPEN_CLIP], [TEXT, "", TEXT_TO_OPEN_CLIP]] as const) {
    if (!name.startsWith(tower)) continue;
    const own = name.slice(tower.length);
    const found = whole.get(own) ?? (own.startsWith("encoder.layers.") ? replaced(own, reversed(PARTS)) : null);
    return found === null ? name : prefix + found;
  }
  return name;
}

/** Hugging Face's name of one of open_clip's tensors; any other name as it is. */
function huggingFaceName(name: string): string {
  const isImage = name.startsWith("visual.");
  const own = isImage ? name.slice("visual.".length) : name;
  const found = (isImage ? IMAGE_FROM_OPEN_CLIP : TEXT_FROM_OPEN_CLIP).get(own) ?? (own.startsWith("transformer.resblocks.") ? replaced(own, PARTS) : null);
  return found === null ? name : (isImage ? IMAGE : TEXT) + found;
}

/** Query, key and value of one attention, if all are there and alike. */
function attentionParts(dict: StateDict, layer: string, kind: string): readonly StoredTensor[] | null {
  const parts = QUERY_KEY_VALUE.map((part) => dict.get(`${layer}.self_attn.${part}_proj.${kind}`));
  const [first] = parts;
  const alike = parts.every((part) => part !== undefined && part.dtype === first!.dtype && sameShape(part.shape, first!.shape));
  return alike ? (parts as StoredTensor[]) : null;
}

/**
 * A CLIP in Hugging Face's naming under open_clip's names. Names that are not Hugging Face's stay as they are.
 * @param dict tensors by name; they are read when the result's are.
 */
export function toOpenClip(dict: StateDict): StateDict {
  const out = new Map<string, StoredTensor>();
  for (const [name, tensor] of dict) {
    const projection = PROJECTIONS_TO_OPEN_CLIP.get(name);
    const [, layer = "", kind = ""] = /^(.*)\.self_attn\.[qkv]_proj\.(weight|bias)$/.exec(name) ?? [];
    const parts = layer === "" ? null : attentionParts(dict, layer, kind);
    if (projection !== undefined && tensor.shape.length === 2) out.set(projection, transposed(tensor));
    else if (parts === null) out.set(openClipName(name), tensor);
    else out.set(openClipName(`${layer}.attn.in_proj_${kind}`), joined(parts));
  }
  return out;
}

/**
 * A CLIP under open_clip's names in Hugging Face's naming: the inverse of `toOpenClip`. Other names stay as they are.
 * @param dict tensors by name; they are read when the result's are.
 */
export function toHuggingFace(dict: StateDict): StateDict {
  const out = new Map<string, StoredTensor>();
  for (const [name, tensor] of dict) {
    const projection = PROJECTIONS_FROM_OPEN_CLIP.get(name);
    const [, layer = "", kind = ""] = /^(.*transformer\.resblocks\.\d+)\.attn\.in_proj_(weight|bias)$/.exec(name) ?? [];
    if (projection !== undefined && tensor.shape.length === 2) {
      out.set(projection, transposed(tensor));
    } else if (layer !== "" && tensor.shape[0]! % QUERY_KEY_VALUE.length === 0) {
      QUERY_KEY_VALUE.forEach((part, index) => {
        out.set(huggingFaceName(`${layer}.self_attn.${part}_proj.${kind}`), partOf(tensor, index, QUERY_KEY_VALUE.length));
      });
    } else {
      out.set(huggingFaceName(name), tensor);
    }
  }
  return out;
}
