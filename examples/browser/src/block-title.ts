/** A parameter block for people: the part of the encoder, and what it is there. */
export interface BlockTitle {
  readonly part: string;
  readonly label: string;
}

const OF_A_BLOCK: Readonly<Record<string, string>> = {
  ln_1: "first norm",
  "attn.in_proj": "attention in",
  "attn.out_proj": "attention out",
  ln_2: "second norm",
  "mlp.c_fc": "MLP in",
  "mlp.c_proj": "MLP out",
};

const OUTSIDE: Readonly<Record<string, string>> = {
  "visual.class_embedding": "class token",
  "visual.positional_embedding": "positions",
  "visual.proj": "projection",
  "visual.conv1.weight": "patches",
  "visual.ln_pre.weight": "first norm, weight",
  "visual.ln_pre.bias": "first norm, bias",
  "visual.ln_post.weight": "last norm, weight",
  "visual.ln_post.bias": "last norm, bias",
};

/** A name that is not a vision transformer's stays as it is. */
export function blockTitle(name: string): BlockTitle {
  const inside = /^visual\.transformer\.resblocks\.(\d+)\.(.+?)[._](weight|bias)$/.exec(name);
  const [, layer, module = "", role = ""] = inside ?? [];
  if (layer !== undefined && OF_A_BLOCK[module] !== undefined) return { part: `Layer ${Number(layer) + 1}`, label: `${OF_A_BLOCK[module]}, ${role}` };
  return { part: "Outside the layers", label: OUTSIDE[name] ?? name };
}
