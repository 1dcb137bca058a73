import { describe, expect, it } from "vitest";
import { visionSpec } from "@atlas-tv/clip";
import {
  checkBlocks, float32ToFloat16, InputError, Random, randomParameters, type HostTensor, type NamedHostTensors,
} from "../src/index.js";

const spec = visionSpec({
  embed_dim: 6,
  vision_cfg: { image_size: 8, layers: 2, width: 8, head_width: 4, patch_size: 4 },
  text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 2, layers: 1 },
});
const good = randomParameters(spec, new Random(0));

function changed(change: (tensors: Map<string, HostTensor>) => void): NamedHostTensors {
  const tensors = new Map(good);
  change(tensors);
  return tensors;
}

const extra: HostTensor = { dtype: "F32", shape: [1], data: new Float32Array(1) };

describe("checkBlocks", () => {
  it("accepts the blocks of the model beside other towers and buffers", () => {
    const tensors = changed((own) => {
      for (const name of ["token_embedding.weight", "logit_scale", "visual.bn1.running_mean"]) own.set(name, extra);
    });
    expect(() => checkBlocks(spec, tensors, "base")).not.toThrow();
  });

  it("names the first three differences and counts the rest", () => {
    const tensors = changed((own) => {
      own.delete("visual.class_embedding");
      own.delete("visual.ln_pre.bias");
      own.set("visual.proj", { dtype: "F32", shape: [6, 8], data: new Float32Array(48) });
      own.set("visual.transformer.resblocks.2.ln_1.weight", extra);
    });
    expect(() => checkBlocks(spec, tensors, "the base model")).toThrow(InputError);
    expect(() => checkBlocks(spec, tensors, "the base model")).toThrow(
      /the base model[^]*"visual.class_embedding" is missing; "visual.proj" is \[6, 8\] instead of \[8, 6\]; "visual.ln_pre.bias" is missing; and 1 more/,
    );
  });

  it("refuses a deeper model", () => {
    const tensors = changed((own) => own.set("visual.transformer.resblocks.2.ln_1.weight", extra));
    expect(() => checkBlocks(spec, tensors, "base")).toThrow(/resblocks\.2\.ln_1\.weight" is unexpected/);
  });

  it("lets a task vector lack blocks, but not have others", () => {
    expect(() => checkBlocks(spec, new Map([...good].slice(0, 2)), "vector", { partial: true })).not.toThrow();
    expect(() => checkBlocks(spec, new Map([["visual.other", extra]]), "vector", { partial: true })).toThrow(/"visual.other" is unexpected/);
  });

  it.each([NaN, Infinity])("refuses %f in a weight, in either element type", (value) => {
    for (const dtype of ["F32", "F16"] as const) {
      const tensors = changed((own) => {
        const data = Float32Array.from(own.get("visual.ln_post.bias")!.data);
        data[3] = value;
        own.set("visual.ln_post.bias", dtype === "F32" ? { dtype, shape: [8], data } : { dtype, shape: [8], data: float32ToFloat16(data) });
      });
      expect(() => checkBlocks(spec, tensors, "base")).toThrow(/visual\.ln_post\.bias[^]*element 3[^]*finite/);
    }
  });
});

describe("checkBlocks of a ResNet", () => {
  const resNet = visionSpec({
    embed_dim: 4,
    vision_cfg: { image_size: 32, layers: [1, 1, 1, 1], width: 2, head_width: 32 },
    text_cfg: { context_length: 4, vocab_size: 8, width: 8, heads: 2, layers: 1 },
  });
  const whole = randomParameters(resNet, new Random(0));
  const [mean, variance] = ["visual.layer1.0.bn2.running_mean", "visual.layer1.0.bn2.running_var"] as const;

  function withTensor(name: string, data: readonly number[] | null): NamedHostTensors {
    const tensors = new Map(whole);
    tensors.delete(name);
    return data === null ? tensors : tensors.set(name, { dtype: "F32", shape: [data.length], data: Float32Array.from(data) });
  }

  it("accepts the whole model, and statistics that the model lacks", () => {
    expect(() => checkBlocks(resNet, whole, "base")).not.toThrow();
    expect(() => checkBlocks(resNet, withTensor("visual.bn1.num_batches_tracked", [9]), "base")).not.toThrow();
  });

  it("refuses a base model without its running statistics, or with those of another width", () => {
    expect(() => checkBlocks(resNet, withTensor(mean, null), "base")).toThrow(InputError);
    expect(() => checkBlocks(resNet, withTensor(mean, null), "base")).toThrow(
      new RegExp(`"${mean}" is missing[^]*${resNet.blocks.length} blocks and \\d+ buffers`),
    );
    expect(() => checkBlocks(resNet, withTensor(variance, [1, 1, 1]), "base")).toThrow(/bn2\.running_var" is \[3\] instead of \[2\]/);
  });

  it.each([[mean, NaN, "finite"], [variance, Infinity, "finite, not negative"], [variance, -0.5, "not negative"]])(
    "refuses %s with %f", (name, value, expected) => {
      const check = (): void => { checkBlocks(resNet, withTensor(name, [1, value]), "base"); };
      expect(check).toThrow(InputError);
      expect(check).toThrow(new RegExp(`buffer "${name}" of base[^]*${value} at element 1[^]*${expected}`));
    },
  );

  it("asks no statistics of a task vector", () => {
    expect(() => checkBlocks(resNet, new Map([...whole].slice(0, 3)), "vector", { partial: true })).not.toThrow();
    expect(() => checkBlocks(resNet, withTensor(mean, [NaN]), "vector", { partial: true })).not.toThrow();
  });
});
