import type { ModifiedResNetSpec } from "@atlas-tv/core";
import { attentionPool } from "./attention-pool.js";
import { bottleneck, EXPANSION } from "./bottleneck.js";
import type { Binding, Stage } from "./stage.js";
import { stem } from "./stem.js";

type Bound = Pick<Stage, "bindings"> & { readonly constants: Readonly<Record<string, string>> };

const whole = (block: string): Binding => ({ block, offset: 0 });

/** Where the tensors of a normalised convolution live: those of a convolution and of the BatchNorm after it. */
function normalised(slot: string, kernel: string, norm: string): Bound {
  return {
    bindings: {
      [`${slot}_kernel`]: whole(`${kernel}.weight`),
      [`${slot}_weight`]: whole(`${norm}.weight`),
      [`${slot}_bias`]: whole(`${norm}.bias`),
    },
    constants: { [`${slot}_mean`]: `${norm}.running_mean`, [`${slot}_variance`]: `${norm}.running_var` },
  };
}

function joined(parts: readonly Bound[]): Bound {
  return {
    bindings: Object.assign({}, ...parts.map(({ bindings }) => bindings)) as Bound["bindings"],
    constants: Object.assign({}, ...parts.map(({ constants }) => constants)) as Bound["constants"],
  };
}

/** The convolutions 1 to 3 under a prefix: `conv1` and `bn1`, and so on. */
function three(prefix: string): Bound[] {
  return [1, 2, 3].map((i) => normalised(`conv${i}`, `${prefix}conv${i}`, `${prefix}bn${i}`));
}

function bottlenecks({ prefix, imageSize, layers, width }: ModifiedResNetSpec): Stage[] {
  let side = imageSize / 4;
  let input = width;
  return layers.flatMap((depth, layer) => Array.from({ length: depth }, (_, index): Stage => {
    const name = `${prefix}layer${layer + 1}.${index}`;
    const projected = index === 0;
    const sizes = { input, inner: width * 2 ** layer, side, stride: layer > 0 && projected ? 2 : 1, projected } as const;
    side /= sizes.stride;
    input = EXPANSION * sizes.inner;
    const shortcut = projected ? [normalised("shortcut", `${name}.downsample.0`, `${name}.downsample.1`)] : [];
    return { kind: bottleneck(sizes), ...joined([...three(`${name}.`), ...shortcut]) };
  }));
}

/** The stages of CLIP's ResNet: stem, bottlenecks, attention pooling. */
export function resNetStages(spec: ModifiedResNetSpec): Stage[] {
  const { prefix, imageSize, width, heads, outputWidth } = spec;
  const pool = `${prefix}attnpool`;
  const parts = ["q", "k", "v", "c"].flatMap((part) => ["weight", "bias"].map((role): [string, Binding] => {
    return [`${part}_${role}`, whole(`${pool}.${part}_proj.${role}`)];
  }));
  return [
    { kind: stem({ imageSize, width }), ...joined(three(prefix)) },
    ...bottlenecks(spec),
    {
      kind: attentionPool({ channels: 8 * EXPANSION * width, heads, side: imageSize / 32, outputWidth }),
      bindings: { places: whole(`${pool}.positional_embedding`), ...Object.fromEntries(parts) },
    },
  ];
}
