import { cpSync, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packedDatasetPath } from "@atlas-tv/datasets";
import { zooData } from "@atlas-tv/zoo";
import { describe, expect, test } from "vitest";
import { atlas, filesIn } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { expectRefusal, refusalFolder } from "./refusals.js";
import { TASKS } from "./tiny-model.js";

const { path: folderPath, at, good, run } = refusalFolder();

describe("images are refused", () => {
  const pictures = (name: string, spoil: (path: string) => void): string => {
    cpSync(at("swatches"), at(name), { recursive: true });
    spoil(at(name));
    return at(name);
  };

  test.each(["train", "test"])("that are none, among those of %s", async (part) => {
    const target = pictures(`text-${part}`, (path) => {
      for (let i = 0; i < 8; i++) writeFileSync(join(path, part, "red", `${i}.png`), "not a picture");
    });
    cpSync(join(good(), "head_swatchesVal.safetensors"), join(good(), `head_text-${part}Val.safetensors`));
    const { err, ...refused } = await run("refused", "--target", target, "--subsample", "12", "--allow-short");
    expectRefusal(
      { ...refused, err: err.replace(/^note: classes with fewer images .*\n/, "") },
      /red.\d\.png/,
      "not a picture",
      "PNG or JPEG",
    );
    expectRefusal(await atlas("finetune", "--model", good(), "--target", target, "--save", at("checkpoints")), /red.\d\.png/);
    expect(filesIn(at("runs", "refused"))).toEqual([]);
    expect(filesIn(at("checkpoints"))).toEqual([]);
  });

  test("when a class has fewer than k", async () => {
    expectRefusal(await run("refused", "--subsample", "40"), "--subsample 40", /1\d images of class/, "at most 1", "--allow-short");
    expect(filesIn(at("runs", "refused"))).toEqual([]);
  });

  test("of a single class, without a class, and without a test image", async () => {
    writePictures(at("lonely"), ["red"]);
    expectRefusal(await run("refused", "--target", at("lonely")), 'a single class, "red"');
    expectRefusal(
      await atlas("finetune", "--model", good(), "--target", at("lonely"), "--save", at("checkpoints")),
      "a single class",
    );
    mkdirSync(at("hollow"));
    expectRefusal(await run("refused", "--target", at("hollow")), "no subfolder");
    writePictures(at("untested"), ["red", "green"], { test: 0 });
    expectRefusal(await run("refused", "--target", at("untested")), "no test images");
  });
});

describe("a name is refused that is unknown:", () => {
  test.each([
    ["backend", ["installed: cpu, cuda, webgpu", "@atlas-tv/backend-"]],
    ["adapter", ["installed: linear, lpp, tip", "@atlas-tv/adapters-"]],
    ["objective", ["installed: cross-entropy", "@atlas-tv/objective-"]],
  ])("%s", async (kind, said) => {
    expectRefusal(await run("refused", `--${kind}`, "quux"), `--${kind} quux`, ...said);
  });

  test("data set", async () => {
    expectRefusal(await run("refused", "--target", "Quux"), "Quux", "MNIST", "FashionMNIST");
  });

  test.skipIf(existsSync(packedDatasetPath(zooData(), "EmojiNames")))("data set of the zoo that is not rendered yet", async () => {
    expectRefusal(await run("refused", "--target", "StreetDigits"), "StreetDigits", "npm run zoo:data");
    expectRefusal(await atlas("negation", "--model", good(), "--target", at("swatches"), "--control", "EmojiNames"), "npm run zoo:data");
  });

  test("task vector", async () => {
    expectRefusal(await run("refused", "--task-vectors", "Alpha,Quux"), "Quux", TASKS.join(", "));
    expectRefusal(await run("refused", "--task-vectors", ","), "--task-vectors", "got: no name");
  });

  test("linear task vector, of a model that has standard ones alone", async () => {
    expectRefusal(await run("refused", "--finetuning-mode", "linear"), "no linear task vector", "finetune --finetuning-mode linear", "posthoc");
  });

  test("task vector of a data set to forget, also where a folder of that name is here", async () => {
    writePictures(at("others"), ["red", "green"]);
    const here = process.cwd();
    process.chdir(folderPath);
    try {
      const forget = (...more: string[]): ReturnType<typeof atlas> =>
        atlas("negation", "--model", good(), "--target", "swatches", "--control", "others", ...more);
      expectRefusal(await forget(), 'data set "swatches"', "no task vector of that name", TASKS.join(", "), "atlas finetune on");
      expectRefusal(await forget("--finetuning-mode", "linear"), "no linear task vector", "finetune --finetuning-mode linear");
    } finally {
      process.chdir(here);
    }
  });

  test("head of another number of classes", async () => {
    writePictures(at("fewer"), ["red", "green"]);
    cpSync(join(good(), "head_swatchesVal.safetensors"), join(good(), "head_fewerVal.safetensors"));
    expectRefusal(await run("refused", "--target", at("fewer")), "head of fewer", "3 classes", "2 classes, as the data set has", "atlas head --overwrite");
  });

  test("model", async () => {
    expectRefusal(await run("refused", "--checkpoints", at("models"), "--model", "quux"), "--model quux", "stranger, tiny");
    expectRefusal(await run("refused", "--checkpoints", at("nowhere"), "--model", "quux"), "--model quux", "nowhere");
  });

  test("plug-in", async () => {
    expectRefusal(await run("refused", "--plugin", "@atlas-tv/quux"), "npm install @atlas-tv/quux");
    expectRefusal(await run("refused", "--plugin", at("quux.mjs")), "quux.mjs");
    writeFileSync(at("broken.mjs"), "throw new TypeError('not today');");
    expectRefusal(await run("refused", "--plugin", at("broken.mjs")), "broken.mjs", "TypeError: not today");
    writeFileSync(at("other.mjs"), "export const other = 1;");
    expectRefusal(await run("refused", "--plugin", at("other.mjs")), 'no export "plugin"');
    expectRefusal(await run("refused", "--plugin", "quux.mjs"), "neither a file nor an installed package", "the path of the file");
    expectRefusal(await run("refused", "--plugin", at("swatches")), "got: a folder");
  });

  test.each([
    ["what it imports", 'import "quux-of-nobody";', /next: npm install quux-of-nobody in the module's own folder/],
    ["its kind", 'export const plugin = { id: "x", kind: "objectives", options: { safeParse() {} }, register() {} };', 'kind "objectives"'],
    ["its id", 'export const plugin = { kind: "objective", options: { safeParse() {} }, register() {} };', "without an id"],
    ["its schema", 'export const plugin = { id: "x", kind: "objective", register() {} };', "without options"],
    ["its registration", 'export const plugin = { id: "x", kind: "objective", options: { safeParse() {} } };', "without a function register"],
    ["anything registered", 'export const plugin = { id: "x", kind: "objective", options: { safeParse() {} }, register() {} };', "adds no objective"],
  ])("plug-in without %s", async (lacking, source, said) => {
    const path = at(`without ${lacking}.mjs`);
    writeFileSync(path, source);
    expectRefusal(await run("refused", "--plugin", path, "--objective", "x"), path, said);
  });

  test("option of a plug-in", async () => {
    expectRefusal(await run("refused", "--adapter", "linear", "--adapter-options", "{ stairs: 3 }"), '"stairs"', "steps");
    expectRefusal(await run("refused", "--adapter", "linear", "--adapter-options", "{ steps: -3 }"), '"steps"');
    expectRefusal(await run("refused", "--adapter", "tip", "--adapter-options", "{ epoch: 3 }"), /got: [^"]*"epoch"\n/, /tip": .*epochs/);
    expectRefusal(await run("refused", "--adapter-options", "{ steps: 3 }"), "--adapter-options");
  });
});

describe("a place to write to is refused", () => {
  test.each([
    ["below a file", () => at("swatches", "train", "red", "0.png", "sub")],
    ["where the system allows none", () => "/proc/atlas"],
  ])("%s", async (_title, place) => {
    const before = filesIn(folderPath);
    expectRefusal(await run("refused", "--run", place()), place());
    expectRefusal(await atlas("finetune", "--model", good(), "--target", at("swatches"), "--save", place()), place());
    expectRefusal(
      await atlas(
        "merge",
        "--model",
        good(),
        "--scale",
        "1",
        "--task-vectors",
        "Alpha",
        "--out",
        join(place(), "out.safetensors"),
      ),
      place(),
    );
    expect(filesIn(folderPath)).toEqual(before);
  });

  test("that is a folder where a file belongs, or the base model itself", async () => {
    const merge = (out: string): ReturnType<typeof atlas> =>
      atlas("merge", "--model", good(), "--scale", "1", "--task-vectors", "Alpha", "--out", out);
    const before = filesIn(folderPath);
    expectRefusal(await merge(at("swatches")), at("swatches"));
    expectRefusal(await merge(join(good(), "zeroshot.safetensors")), "base model itself");
    mkdirSync(at("merged.safetensors"));
    expectRefusal(await merge(at("merged.safetensors")), "got: a folder");
    const encode = (out: string): ReturnType<typeof atlas> => atlas("encode", "--model", good(), "--images", at("swatches"), "--out", out);
    expectRefusal(await encode(at("swatches")), "got: a folder");
    rmdirSync(at("merged.safetensors"));
    expect(filesIn(folderPath)).toEqual(before);
  });
});

describe("a name is refused", () => {
  test("of a file in a format that is not written", async () => {
    const merge = ["merge", "--model", good(), "--scale", "1", "--task-vectors", "Alpha", "--out"];
    expectRefusal(await atlas(...merge, at("merged.pt")), "ends in .pt", "merged.safetensors");
    expectRefusal(await atlas("convert", good(), "--out", at("converted.bin")), "ends in .bin");
    expectRefusal(await atlas("encode", "--model", good(), "--images", at("swatches"), "--out", at("features.npz")), "ends in .npz");
  });

  test("of a single picture, where a folder of them is meant", async () => {
    const picture = at("swatches", "train", "red", "0.png");
    expectRefusal(await atlas("encode", "--model", good(), "--images", picture, "--out", at("f.safetensors")), "a single picture", "a folder of pictures");
  });

  test.each([
    ["eval", "--target"],
    ["eval", "--composition"],
    ["few-shots", "--plugin"],
    ["few-shots", "--settings"],
    ["encode", "--images"],
    ["inspect", ""],
  ])("of what lies below a file, by %s %s", async (command, flag) => {
    const below = join(at("swatches", "train", "red", "0.png"), "x");
    const model = command === "inspect" ? [] : ["--model", good()];
    const more = command === "encode" ? ["--out", at("f.safetensors")] : [];
    expectRefusal(await atlas(command, ...model, ...more, ...(flag === "" ? [] : [flag]), below), below);
  });

  test("of a run's folder, where one of its files is meant", async () => {
    const evaluate = (...more: string[]): ReturnType<typeof atlas> => atlas("eval", "--model", good(), "--target", at("swatches"), ...more);
    const file = at("runs", "done", "composition.safetensors");
    expectRefusal(await evaluate("--composition", at("runs", "done")), `next: --composition ${file}`);
    expectRefusal(await evaluate("--composition", at("swatches")), "a folder without composition.safetensors");
    expectRefusal(await evaluate("--composition", file, "--adapter", at("runs", "done")), "a folder without adapter.safetensors");
  });
});

describe("flags are refused:", () => {
  test.each(["none", "0", "-3", "1.5", "0.0", "2.", "1e1", "", "4 shots"])("--subsample %j", async (text) => {
    expectRefusal(await run("refused", `--subsample=${text}`), "--subsample");
  });

  test.each([
    ["--lr", "0"],
    ["--lr", "fast"],
    ["--epochs", "0"],
    ["--epochs", "1.5"],
    ["--batch-size", "-1"],
    ["--lp-reg", "3"],
    ["--label-smoothing", "1"],
    ["--seed", "a"],
    ["--seed", "1,1"],
    ["--seed", ","],
    ["--threads", "0"],
  ])("%s %s", async (flag, value) => {
    expectRefusal(await run("refused", flag, value), flag);
  });

  test("a settings file with an unknown key", async () => {
    writeFileSync(at("settings.yaml"), "learning-rate: 0.1\n");
    expectRefusal(await run("refused", "--settings", at("settings.yaml")), '"learning-rate"', "lr, wd");
    expectRefusal(await run("refused", "--settings", at("none.yaml")), "none.yaml", "got: no such file\n");
    expectRefusal(await run("refused", "--settings", at("settings.yaml")), "shots, fraction");
  });

  test.each([["--quux"], ["--epochs"], ["--split", "x"]])("%s, by the parser", async (...args) => {
    const { status, out, err } = await atlas("eval", ...args);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err).toContain(args[0]);
  });
});

describe("a run folder is refused", () => {
  test("that holds a finished run, without --resume", async () => {
    const before = readFileSync(at("runs", "done", "run.json"), "utf8");
    expectRefusal(await run("done"), "finished run", "print its result again with --resume", "--run");
    expect(readFileSync(at("runs", "done", "run.json"), "utf8")).toBe(before);
  });

  test("that was begun with other options, seeds, task vectors or weights", async () => {
    for (const more of [
      ["--lr", "0.2"],
      ["--seed", "2"],
      ["--task-vectors", "Alpha"],
      ["--no-blockwise-coef"],
      ["--model", at("models", "stranger")],
      ["--adapter", "linear"],
      ["--threads", "1"],
    ]) {
      expectRefusal(await run("done", "--resume", ...more), "other options");
    }
    expectRefusal(await run("done", "--resume", "--epochs", "3"), /: epochs 1, not 3\n/);
    expectRefusal(await run("done", "--resume", "--task-vectors", "Alpha"), "taskVectors", "the hash of taskVectors");
  });
});
