import { widen, type StoredTensor } from "@atlas-tv/core";
import { describe, expect, test } from "vitest";
import { canonicalTensors, describeTensors, loadBase } from "../src/index.js";
import { tinyVit } from "./tiny-spec.js";

function zeros(...shape: number[]): StoredTensor {
  return { dtype: "F32", shape, bytes: () => Promise.resolve(new Uint8Array(4 * shape.reduce((product, extent) => product * extent, 1))) };
}

const model = (prefix: string): [string, StoredTensor][] => tinyVit.blocks.map(({ name, shape }) => [prefix + name, zeros(...shape)]);

describe("the image encoder is found", () => {
  test.each([
    ["without a prefix", model("")],
    ["in the reference's encoder", model("model.")],
    ["in the reference's classifier, beside a head", [...model("image_encoder.model."), ["classification_head.weight", zeros(3, 3)] as [string, StoredTensor]]],
    ["in a data-parallel module", model("module.")],
    ["in the state of a training program", [...model("state_dict.module."), ["optimizer.state.0.exp_avg", zeros(2)] as [string, StoredTensor]]],
    ["beside a text tower in a module of its own", [...model(""), ["text.token_embedding.weight", zeros(5, 3)] as [string, StoredTensor], ["text.positional_embedding", zeros(7, 3)] as [string, StoredTensor]]],
  ])("%s", async (_title, named) => {
    const base = await loadBase(tinyVit, new Map(named), "file");
    expect([...base.keys()]).toEqual(tinyVit.blocks.map(({ name }) => name));
    expect(widen(base.get("visual.proj")!)).toHaveLength(6);
  });

  test("not where two prefixes lead to one name", () => {
    expect(() => canonicalTensors(new Map([...model(""), ...model("module.")]), "file")).toThrow(/both ".*" and "module\./);
  });
});

describe("Hugging Face's attention", () => {
  const parts = (...names: string[]): Map<string, StoredTensor> => new Map([["vision_model.post_layernorm.weight", zeros(2)], ...names.map((name): [string, StoredTensor] => [`vision_model.encoder.layers.0.self_attn.${name}`, zeros(2, 2)])]);

  test("is fused where query, key and value are there", () => {
    const { shape } = canonicalTensors(parts("q_proj.weight", "k_proj.weight", "v_proj.weight"), "file").get("visual.transformer.resblocks.0.attn.in_proj_weight")!;
    expect(shape).toEqual([6, 2]);
  });

  test("keeps its names where one is missing, so that the message tells which", () => {
    const names = [...canonicalTensors(parts("q_proj.weight", "k_proj.weight"), "file").keys()];
    expect(names).toEqual(["visual.ln_post.weight", "visual.transformer.resblocks.0.self_attn.q_proj.weight", "visual.transformer.resblocks.0.self_attn.k_proj.weight"]);
  });
});

test.each([
  ["a head", [["weight", zeros(7, 4)], ["bias", zeros(7)]], "a classification head of 7 classes, width 4"],
  ["coefficients of data sets", [["CIFAR10", zeros(3, 38)], ["DTD", zeros(3, 38)]], "learned coefficients of 2 data sets, [3, 38] each"],
  ["our own coefficients", [["coef", zeros(3, 38)]], "learned coefficients of shape [3, 38]"],
  ["a list of images", [["tensor", { ...zeros(5), dtype: "I64" }]], "a single tensor, I64 of shape [5], as lists of chosen images are saved"],
  ["a linearised model", [["params.0", zeros(5)]], "a linearised model"],
  ["both encoders", [["visual.proj", zeros(2, 3)], ["transformer.resblocks.0.ln_1.weight", zeros(2)]], "an image encoder and a text encoder (2 tensors)"],
  ["another network", [["backbone.fc.weight", zeros(2, 3)]], '1 tensors, "backbone.fc.weight" of shape [2, 3] the first'],
  ["nothing", [], "no tensors"],
] as [string, [string, StoredTensor][], string][])("%s is described", (_title, named, sentence) => {
  expect(describeTensors(new Map(named))).toBe(sentence);
});
