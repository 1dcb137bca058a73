import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { canonicalTensors, readCheckpoint, writeSafetensorsFile } from "@atlas-tv/checkpoints";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { afterAll, describe, expect, test } from "vitest";
import { closeTo, fixtureJson, fixturePath, fixtureTensors, floats, tensorOf, tolerance } from "../../core/test/fixture-files.js";
import { atlas, filesIn, temporaryFolder } from "./command-line.js";
import { expectRefusal } from "./refusals.js";
import { SPEC, TASKS, writeTinyModel } from "./tiny-model.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
afterAll(folder.remove);

const config = fixturePath("checkpoints/open_clip_config.json");
const checkpoint = (name: string): string => fixturePath(`checkpoints/${name}`);

/** The same CLIP or its image encoder in every format that is read, and whether the text tower is whole. */
const CHECKPOINTS: readonly (readonly [string, boolean])[] = [
  ["zeroshot.safetensors", false],
  ["zeroshot.pt", false],
  ["zeroshot_state_dict.pt", false],
  ["zeroshot_state_dict_legacy.pt", false],
  ["openai_torchscript.pt", true],
  ["hf", true],
];

/** Integers that only repeat what shapes say. */
const REDUNDANT = /position_ids$|^(input_resolution|context_length|vocab_size)$/;

/** Type, shape and hash of every tensor under open_clip's names. */
function content(path: string): Promise<Map<string, string>> {
  return readCheckpoint(path, async ({ tensors }) => {
    const named = [...canonicalTensors(tensors, path)].filter(([name]) => !REDUNDANT.test(name));
    const texts = await Promise.all(named.map(async ([name, { dtype, shape, bytes }]): Promise<[string, string]> => {
      return [name, `${dtype} ${shape.join()} ${createHash("sha256").update(await bytes()).digest("hex")}`];
    }));
    return new Map(texts.sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

const imageTower = (tensors: ReadonlyMap<string, string>): Map<string, string> => new Map([...tensors].filter(([name]) => name.startsWith("visual.")));

async function convert(from: string, to: string, ...flags: string[]): Promise<void> {
  const { status, err } = await atlas("convert", from, "--out", to, ...flags);
  expect(status, err).toBe(0);
}

describe.each(CHECKPOINTS)("atlas convert of %s", (name, whole) => {
  test("to safetensors keeps every bit", async () => {
    await convert(checkpoint(name), at(`${name}.safetensors`));
    expect(await content(at(`${name}.safetensors`))).toEqual(await content(checkpoint(name)));
  });

  test("to a Hugging Face folder and back keeps every bit of what the folder can hold", async () => {
    const folderOf = at("hf", name.replace(".", "-"));
    await convert(checkpoint(name), folderOf, "--config", config);
    const before = await content(checkpoint(name));
    expect(await content(folderOf)).toEqual(whole ? before : imageTower(before));
    await convert(folderOf, at("back", `${name}.safetensors`));
    expect(await content(at("back", `${name}.safetensors`))).toEqual(whole ? before : imageTower(before));
  });

  test("to ONNX gives an image encoder whose features are those of the model", async () => {
    await convert(checkpoint(name), at(`${name}.onnx`), "--config", config);
    const images = fixtureTensors("inputs/inputs.safetensors");
    const session = await InferenceSession.create(at(`${name}.onnx`));
    const values = await floats(images, "images");
    const outputs = await session.run({ [session.inputNames[0]!]: new Tensor("float32", values, tensorOf(images, "images").shape) });
    await session.release();
    const { status, err } = await atlas("encode", "--model", checkpoint(name), "--config", config, "--images", fixturePath("inputs/inputs.safetensors"), "--out", at(`${name}.features.safetensors`));
    expect(status, err).toBe(0);
    const features = await readCheckpoint(at(`${name}.features.safetensors`), ({ tensors }) => floats(tensors, "features"));
    closeTo(outputs[session.outputNames[0]!]!.data as Float32Array, features, 1e-4, "features");
  });
});

describe("atlas convert", () => {
  test("writes what has no image encoder as safetensors: heads and coefficients", async () => {
    for (const name of ["head_0", "learned_composition"]) {
      await convert(checkpoint(`${name}.pt`), at(`${name}.safetensors`));
      expect(await content(at(`${name}.safetensors`))).toEqual(await content(checkpoint(`${name}.pt`)));
      expectRefusal(await atlas("convert", checkpoint(`${name}.pt`), "--out", at("refused")), "without an image encoder");
    }
  });

  test("gives a folder that says what transformers needs, with the model's own tokenizer", async () => {
    const source = at("with-tokenizer");
    mkdirSync(source);
    for (const file of readdirSync(checkpoint("hf")).filter((entry) => entry !== "fixture.safetensors")) copyFileSync(checkpoint(`hf/${file}`), join(source, file));
    writeFileSync(join(source, "tokenizer.json"), "{}");
    await convert(source, at("for-transformers"));
    const theirs = fixtureJson<{ vision_config: object; text_config: object }>("checkpoints/hf/config.json");
    const ours = JSON.parse(readFileSync(at("for-transformers", "config.json"), "utf8")) as { vision_config: object };
    expect(ours.vision_config).toMatchObject(theirs.vision_config);
    expect(readFileSync(at("for-transformers", "tokenizer.json"), "utf8")).toBe("{}");
    expect(await readCheckpoint(at("for-transformers"), ({ names }) => Promise.resolve([...names].sort()))).toEqual(
      await readCheckpoint(checkpoint("hf"), ({ names }) => Promise.resolve(names.filter((entry) => !REDUNDANT.test(entry)).sort())),
    );
  });

  test("leaves nothing behind when it refuses", async () => {
    expectRefusal(await atlas("convert", checkpoint("README.md"), "--out", at("none.safetensors")));
    mkdirSync(at("alone"));
    copyFileSync(checkpoint("zeroshot_state_dict.pt"), at("alone", "weights.pt"));
    expectRefusal(await atlas("convert", at("alone", "weights.pt"), "--out", at("unknown")), "--config");
    expectRefusal(await atlas("convert", checkpoint("zeroshot.pt"), "--config", config, "--out", folder.path), "new or empty");
    expectRefusal(await atlas("convert", at("zeroshot.pt.safetensors"), "--out", at("zeroshot.pt.safetensors")), "itself");
    for (const path of ["none.safetensors", "unknown", ".unknown.tmp"]) expect(existsSync(at(path)), path).toBe(false);
  });
});

describe("atlas encode", () => {
  test.each(["zeroshot", "finetuned_0"])("gives the golden features of %s", async (model) => {
    const out = at(`${model}.golden.safetensors`);
    const { status, err } = await atlas("encode", "--model", checkpoint(`${model}.pt`), "--images", fixturePath("inputs/inputs.safetensors"), "--out", out, "--batch-size", "3");
    expect(status, err).toBe(0);
    const golden = fixtureTensors("encoder/encoder.safetensors");
    const [features, shape] = await readCheckpoint(out, async ({ tensors }) => [await floats(tensors, "features"), tensorOf(tensors, "features").shape] as const);
    expect(shape).toEqual(tensorOf(golden, `features.${model}`).shape);
    closeTo(features, await floats(golden, `features.${model}`), tolerance("encoder.features"), "features");
  });

  test("refuses what holds no images for this model", async () => {
    const encode = (images: string): ReturnType<typeof atlas> => atlas("encode", "--model", checkpoint("zeroshot.pt"), "--images", images, "--out", at("refused.safetensors"));
    expectRefusal(await encode(checkpoint("zeroshot.safetensors")), 'no tensor "images"');
    expectRefusal(await encode(at("nothing.safetensors")), "nothing.safetensors");
    expectRefusal(await atlas("encode", "--model", checkpoint("zeroshot.pt"), "--out", at("refused.safetensors")), "no --images");
    expect(existsSync(at("refused.safetensors"))).toBe(false);
  });
});

describe("atlas merge", () => {
  const merge = (out: string, ...flags: string[]): ReturnType<typeof atlas> =>
    atlas("merge", "--model", at("models", "tiny"), "--scale", "0.5", "--task-vectors", TASKS.join(","), "--out", out, ...flags);

  test("writes the same model in every format, and says what it was made from", async () => {
    await writeTinyModel(at("models", "tiny"));
    for (const out of ["merged.safetensors", "merged", "merged.onnx"]) expect(await merge(at(out)), out).toMatchObject({ status: 0 });
    expect(await content(at("merged"))).toEqual(await content(at("merged.safetensors")));
    expect(filesIn(at("merged"))).toEqual([
      "README.md", "composition.safetensors", "config.json", "model.safetensors", "preprocessor_config.json", "vocabulary.json",
    ]);
    const card = readFileSync(at("merged", "README.md"), "utf8");
    for (const text of [...TASKS, "Base: tiny", "0.5000"]) expect(card).toContain(text);
    const composition = await readCheckpoint(at("merged", "composition.safetensors"), ({ tensors }) => floats(tensors, "coef"));
    expect([...composition]).toEqual(TASKS.map(() => 0.5));

    const images = { data: Float32Array.from({ length: 2 * 3 * SPEC.imageSize ** 2 }, (_, i) => Math.sin(i)), shape: [2, 3, SPEC.imageSize, SPEC.imageSize] };
    const session = await InferenceSession.create(at("merged.onnx"));
    const outputs = await session.run({ [session.inputNames[0]!]: new Tensor("float32", images.data, images.shape) });
    await session.release();
    await writeSafetensorsFile(at("two-images.safetensors"), new Map([["images", { dtype: "F32", ...images }]]));
    expect(await atlas("encode", "--model", at("merged"), "--images", at("two-images.safetensors"), "--out", at("two.safetensors"))).toMatchObject({ status: 0 });
    closeTo(outputs[session.outputNames[0]!]!.data as Float32Array, await readCheckpoint(at("two.safetensors"), ({ tensors }) => floats(tensors, "features")), 1e-4, "features");
  });

  test("writes a folder that is there already only when it is empty", async () => {
    expectRefusal(await merge(at("merged")), "new or empty");
    mkdirSync(at("empty"));
    expect(await merge(at("empty"), "--json")).toMatchObject({ status: 0 });
    expect(await content(at("empty"))).toEqual(await content(at("merged.safetensors")));
  });
});
