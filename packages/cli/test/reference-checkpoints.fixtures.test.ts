import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { readCheckpoint } from "@atlas-tv/checkpoints";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkpointFacts, fixtureJson, fixturePath } from "../../core/test/fixture-files.js";
import { atlas, temporaryFolder } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { expectRefusal } from "./refusals.js";

const folder = temporaryFolder();
const at = (...parts: string[]): string => join(folder.path, ...parts);
afterAll(folder.remove);

const { vectors } = checkpointFacts();
const { classes_per_head: classes } = fixtureJson<{ classes_per_head: number[] }>("checkpoints/expected.json");
const TASKS = Array.from({ length: vectors }, (_, i) => `Task${i}`);
const TARGET = "swatches";

function copy(from: string, ...to: string[]): void {
  mkdirSync(dirname(at(...to)), { recursive: true });
  copyFileSync(fixturePath(`checkpoints/${from}`), at(...to));
}

/** The layout of the reference implementation, with files of one extension and base model. */
function layOut(model: string, extension: string, base: string): void {
  copy(base, model, `zeroshot${extension}`);
  TASKS.forEach((task, i) => { copy(`finetuned_${i}${extension}`, model, `${task}Val`, `finetuned${extension}`); });
  copy(`head_0${extension}`, model, `head_${TARGET}Val${extension}`);
}

beforeAll(() => {
  layOut("pickled", ".pt", "zeroshot.pt");
  layOut("legacy", ".pt", "zeroshot_state_dict_legacy.pt");
  layOut("named", ".safetensors", "zeroshot.safetensors");
  for (const model of ["legacy", "named"]) copy("open_clip_config.json", model, "open_clip_config.json");
  cpSync(fixturePath("checkpoints/hf"), at("hf"), { recursive: true });
  copy("head_0.pt", "hf", `head_${TARGET}Val.pt`);
  writePictures(at(TARGET), Array.from({ length: classes[0]! }, (_, label) => `class ${label}`), { train: 4, test: 2 });
});

/** Runs a command and returns its JSON document. */
async function json<T>(...args: string[]): Promise<T> {
  const { status, out, err } = await atlas(...args, "--json");
  expect(status, err).toBe(0);
  return JSON.parse(out) as T;
}

describe("checkpoints of the reference implementation, as its own files", () => {
  const learn = (model: string): Promise<unknown> =>
    atlas("few-shots", "--model", model, "--checkpoints", folder.path, "--target", at(TARGET), "--subsample", "1", "--epochs", "1", "--batch-size", "8", "--run", at("runs", model));

  const coefficients = (model: string): Promise<number[]> =>
    readCheckpoint(at("runs", model, "composition.safetensors"), async ({ tensors }) => [...(await tensors.get("coef")!.bytes())]);

  test("are learned from as their safetensors files are, to the same bits", async () => {
    for (const model of ["named", "pickled", "legacy"]) expect(await learn(model), model).toMatchObject({ status: 0 });
    const expected = await coefficients("named");
    expect(expected.some((byte) => byte !== 0)).toBe(true);
    for (const model of ["pickled", "legacy"]) expect(await coefficients(model), model).toEqual(expected);
  });

  test("are evaluated: a whole module says what its architecture is, and a Hugging Face folder has the same model", async () => {
    expect(existsSync(at("pickled", "open_clip_config.json"))).toBe(false);
    const evaluated = (model: string): Promise<unknown> => json("eval", "--model", at(model), "--target", at(TARGET));
    expect(await evaluated("pickled")).toEqual(await evaluated("named"));
    expect(await evaluated("hf")).toEqual(await evaluated("named"));
  });

  test("are merged, from a folder and from files given one by one", async () => {
    const merged = (model: string, names: readonly string[]): Promise<{ sha256: string }> =>
      json("merge", "--model", at(model), "--scale", "0.3", "--task-vectors", names.join(","), "--out", at("merged", `${basename(model)}.safetensors`));
    const blocks = async (model: string): Promise<string[]> =>
      readCheckpoint(at("merged", `${basename(model)}.safetensors`), ({ tensors }) => Promise.all([...tensors].map(async ([name, tensor]) => `${name} ${Buffer.from(await tensor.bytes()).toString("hex")}`)));
    await merged("named", TASKS);
    await merged("pickled", TASKS);
    await merged("pickled/zeroshot.pt", TASKS.map((task) => at("pickled", `${task}Val`, "finetuned.pt")));
    const expected = await blocks("named");
    expect(await blocks("pickled")).toEqual(expected);
    expect(await blocks("zeroshot.pt")).toEqual(expected);
  });
});

describe("a model is refused", () => {
  test("whose architecture nothing tells; --config tells it", async () => {
    copy("zeroshot_state_dict.pt", "bare", "zeroshot.pt");
    const merge = (...more: string[]): ReturnType<typeof atlas> =>
      atlas("merge", "--model", at("bare"), "--scale", "1", "--task-vectors", at("pickled", "Task0Val", "finetuned.pt"), "--out", at("bare.safetensors"), ...more);
    expectRefusal(await merge(), "--config FILE", "zeroshot.pt");
    expect(await merge("--config", fixturePath("checkpoints/open_clip_config.json"))).toMatchObject({ status: 0 });
    expect(await merge("--config", fixturePath("checkpoints/hf/config.json"))).toMatchObject({ status: 0 });
  });

  test.each([
    ["a head", "head_0.pt", "a classification head"],
    ["learned coefficients", "learned_composition.pt", "learned coefficients"],
    ["chosen images", "4_shots_1.pt", "a single tensor"],
  ])("that is %s: the sentence says so", async (_title, file, said) => {
    copy(file, "wrong", file);
    const args = ["--config", fixturePath("checkpoints/open_clip_config.json"), "--scale", "1", "--task-vectors", at("pickled", "Task0Val", "finetuned.pt")];
    expectRefusal(await atlas("merge", "--model", at("wrong", file), "--out", at("wrong.safetensors"), ...args), said, "blocks of the model's vit encoder");
    expect(existsSync(at("wrong.safetensors"))).toBe(false);
  });

  test("a model where a head is expected", async () => {
    cpSync(at("pickled"), at("headless"), { recursive: true });
    copyFileSync(at("pickled", "zeroshot.pt"), at("headless", `head_${TARGET}Val.pt`));
    expectRefusal(await atlas("eval", "--model", at("headless"), "--target", at(TARGET)), "an image encoder", "a classification head");
  });
});

describe("atlas inspect", () => {
  test.each(["zeroshot.pt", "zeroshot_state_dict.pt", "zeroshot_state_dict_legacy.pt", "openai_torchscript.pt", "learned_composition.pt", "head_0.pt"])(
    "of %s lists its tensors under the names that it stores",
    async (file) => {
      const found = await json<{ format: string; producer: string; tensors: { name: string; dtype: string; shape: number[]; bytes: number }[]; sha256: string }>("inspect", fixturePath(`checkpoints/${file}`));
      const reference = file.replace(/(_state_dict|_legacy)*\.pt$/, ".safetensors");
      const expected = await json<typeof found>("inspect", fixturePath(`checkpoints/${reference}`));
      const prefix = file.startsWith("zeroshot") ? "model." : "";
      expect(found.tensors).toEqual(expected.tensors.map((tensor) => ({ ...tensor, name: `${prefix}${tensor.name}` })));
      expect(found).toMatchObject({ producer: "PyTorch", sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
      expect(Object.keys(found).slice(0, 4)).toEqual(["format", "producer", "tensors", "sha256"]);
    },
  );

  test("calls a bare tensor \"tensor\"", async () => {
    const { tensors } = await json<{ tensors: { name: string; dtype: string }[] }>("inspect", fixturePath("checkpoints/4_shots_1.pt"));
    expect(tensors).toMatchObject([{ name: "tensor", dtype: "I64" }]);
  });

  test("of a Hugging Face folder has the hash of its weights", async () => {
    const folderOf = await json<{ format: string; sha256: string; tensors: unknown[] }>("inspect", at("hf"));
    const file = await json<typeof folderOf>("inspect", at("hf", "model.safetensors"));
    expect(folderOf).toMatchObject({ format: "huggingface", sha256: file.sha256, tensors: file.tensors });
  });

  test("refuses what is no checkpoint: a text, a configuration, a folder without weights", async () => {
    expectRefusal(await atlas("inspect", fixturePath("checkpoints/README.md")), "a text file");
    expectRefusal(await atlas("inspect", fixturePath("checkpoints/open_clip_config.json")), "the configuration of a model");
    expectRefusal(await atlas("inspect", fixturePath("checkpoints/hf/config.json")), "the configuration of a model");
    expectRefusal(await atlas("inspect", at(TARGET)), "without weights");
    expect(readFileSync(at("pickled", "zeroshot.pt")).equals(readFileSync(fixturePath("checkpoints/zeroshot.pt")))).toBe(true);
  });
});
