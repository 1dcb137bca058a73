import { cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readCheckpoint, writeSafetensorsFile } from "@atlas-tv/checkpoints";
import { storedTensor, type HostTensor, type StoredTensor } from "@atlas-tv/core";
import { describe, expect, test } from "vitest";
import { atlas, filesIn } from "./command-line.js";
import { writePictures } from "./picture-folder.js";
import { expectRefusal, refusalFolder } from "./refusals.js";
import { SPEC, TASKS } from "./tiny-model.js";

const { path: folderPath, at, good, run } = refusalFolder();

/** A copy of the tiny model of which one file is spoilt. */
function spoilt(name: string, spoil: (model: string) => void): string {
  const model = at("spoilt", name);
  rmSync(model, { recursive: true, force: true });
  cpSync(good(), model, { recursive: true });
  spoil(model);
  return model;
}

/** Replaces the header of a safetensors file, its data unchanged. */
function rewriteHeader(
  path: string,
  edit: (header: Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>) => void,
): void {
  const file = readFileSync(path);
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + length).toString()) as Parameters<typeof edit>[0];
  edit(header);
  const json = Buffer.from(JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(json.length));
  writeFileSync(path, Buffer.concat([size, json, file.subarray(8 + length)]));
}

async function rewriteTensors(path: string, edit: (tensors: Map<string, StoredTensor | HostTensor>) => void): Promise<void> {
  const tensors = await readCheckpoint(
    path,
    async (file) =>
      new Map(
        await Promise.all(
          [...file.tensors].map(async ([name, { dtype, shape, bytes }]): Promise<[string, StoredTensor | HostTensor]> => {
            const data = await bytes();
            return [name, { dtype, shape, bytes: () => Promise.resolve(data) }];
          }),
        ),
      ),
  );
  edit(tensors);
  await writeSafetensorsFile(path, tensors);
}

function zeros(...shape: number[]): StoredTensor {
  return storedTensor({ dtype: "F32", shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) });
}

const BASE = "zeroshot.safetensors";

describe("a base model is refused that", () => {
  const cases: readonly [string, (path: string) => void | Promise<void>, readonly (string | RegExp)[]][] = [
    [
      "is truncated",
      (path) => {
        truncateSync(path, readFileSync(path).length - 100);
      },
      [BASE],
    ],
    [
      "is cut within its header",
      (path) => {
        truncateSync(path, 40);
      },
      [BASE, "header"],
    ],
    [
      "is empty",
      (path) => {
        truncateSync(path, 0);
      },
      [BASE],
    ],
    [
      "announces a header longer than the file",
      (path) => {
        const file = readFileSync(path);
        file.writeBigUInt64LE(BigInt(file.length + 1), 0);
        writeFileSync(path, file);
      },
      [BASE, "header"],
    ],
    [
      "has overlapping tensors",
      (path) => {
        rewriteHeader(path, (header) => {
          const [first, second] = Object.values(header).filter(
            (entry) => "data_offsets" in entry && entry.shape.length === 1 && entry.shape[0] === SPEC.outputWidth,
          );
          second!.data_offsets = first!.data_offsets;
        });
      },
      [BASE, /overlap|hole|offset/i],
    ],
    [
      "has an element type that is not read",
      (path) => {
        rewriteHeader(path, (header) => {
          header["visual.proj"]!.dtype = "F8_E4M3";
        });
      },
      [BASE, "F8_E4M3"],
    ],
    [
      "has whole numbers for weights",
      (path) => {
        rewriteHeader(path, (header) => {
          header["visual.proj"]!.dtype = "I32";
        });
      },
      ["visual.proj", "I32"],
    ],
    [
      "has other blocks than its model",
      (path) =>
        rewriteTensors(path, (tensors) => {
          tensors.delete("visual.proj");
          tensors.set("visual.ln_post.weight", zeros(3));
          tensors.set("visual.transformer.resblocks.1.ln_1.weight", zeros(16));
          tensors.set("visual.transformer.resblocks.2.ln_1.weight", zeros(16));
        }),
      [
        BASE,
        '"visual.proj" is missing',
        /"visual.ln_post.weight" is \[3\] instead of \[16\]/,
        '"visual.transformer.resblocks.1.ln_1.weight" is unexpected; …',
      ],
    ],
    [
      "has NaN among its weights",
      (path) =>
        rewriteTensors(path, (tensors) => {
          tensors.set("visual.proj", { dtype: "F32", shape: [16, 16], data: new Float32Array(256).fill(0.1).fill(NaN, 7, 9) });
        }),
      ["visual.proj", "NaN", "index 7"],
    ],
  ];

  test.each(cases)("%s", async (title, spoil, said) => {
    const model = spoilt("base", () => {});
    await spoil(join(model, BASE));
    const before = filesIn(folderPath);
    expectRefusal(await run("refused", "--model", model), ...said);
    expectRefusal(
      await atlas("merge", "--model", model, "--scale", "1", "--task-vectors", "Alpha", "--out", at("merged.safetensors")),
      ...said,
    );
    expect(filesIn(folderPath), title).toEqual(before);
  });
});

describe("another file is refused", () => {
  test("a truncated task vector", async () => {
    const model = spoilt("vector", (path) => {
      truncateSync(join(path, "AlphaVal", "task_vector.safetensors"), 1000);
    });
    expectRefusal(await run("refused", "--model", model), "AlphaVal");
  });

  test("a fine-tuned model with NaN", async () => {
    const model = spoilt("finetuned", () => {});
    await rewriteTensors(join(model, "BetaVal", "finetuned.safetensors"), (tensors) => {
      tensors.set("visual.proj", { dtype: "F32", shape: [16, 16], data: new Float32Array(256).fill(Infinity) });
    });
    expectRefusal(await run("refused", "--model", model), "visual.proj", "Beta");
  });

  test("a config that is no JSON, and one of another architecture", async () => {
    expectRefusal(
      await run(
        "refused",
        "--model",
        spoilt("config", (path) => {
          writeFileSync(join(path, "open_clip_config.json"), "{");
        }),
      ),
      "open_clip_config.json",
    );
    const other = spoilt("config", (path) => {
      writeFileSync(
        join(path, "open_clip_config.json"),
        JSON.stringify({ model_cfg: { embed_dim: 16, vision_cfg: { timm_model_name: "x" }, text_cfg: {} } }),
      );
    });
    expectRefusal(await run("refused", "--model", other), "open_clip_config.json");
  });

  test("a head of other classes, and one whose classes are in another order", async () => {
    writePictures(at("four", "swatches"), ["blue", "green", "red", "square"]);
    expectRefusal(await run("refused", "--target", at("four", "swatches")), "3 classes", "4 classes");
    const path = at("spoilt", "head", "head_swatchesVal.safetensors");
    const model = spoilt("head", () => {});
    await writeSafetensorsFile(path, new Map([["weight", zeros(3, SPEC.outputWidth)]]), {
      class_names: '["red","green","blue"]',
    });
    expectRefusal(await run("refused", "--model", model), "red, green, blue", "blue, green, red");
  });

  test("a vocabulary that is no JSON", async () => {
    const model = spoilt("words", (path) => {
      writeFileSync(join(path, "vocabulary.json"), "words");
      rmSync(join(path, "head_swatchesVal.safetensors"));
    });
    expectRefusal(await run("refused", "--model", model), "vocabulary.json");
  });

  test("to inspect: one that is not there, a folder, a picture", async () => {
    expectRefusal(await atlas("inspect", at("nothing.safetensors")), "nothing.safetensors");
    expectRefusal(await atlas("inspect", folderPath), "a folder");
    expectRefusal(await atlas("inspect", at("swatches", "train", "red", "0.png")), "0.png");
  });
});

describe("a composition is refused", () => {
  const composition = (): string => at("runs", "done", "composition.safetensors");

  test("that was learned from another model", async () => {
    expectRefusal(
      await atlas("eval", "--model", at("models", "stranger"), "--target", at("swatches"), "--composition", composition()),
      "base model",
      "SHA-256",
    );
    expectRefusal(
      await atlas(
        "merge",
        "--model",
        at("models", "stranger"),
        "--composition",
        composition(),
        "--out",
        at("merged.safetensors"),
      ),
      "base model",
    );
    expect(filesIn(folderPath)).not.toContain("merged.safetensors");
  });

  test("whose task vectors have changed", async () => {
    const model = spoilt("changed", () => {});
    cpSync(join(at("models", "stranger"), "AlphaVal"), join(model, "AlphaVal"), { recursive: true });
    expectRefusal(
      await atlas("eval", "--model", model, "--target", at("swatches"), "--composition", composition()),
      "task vector 1",
      "Alpha",
    );
  });

  test("where a checkpoint is expected, and the other way round", async () => {
    const model = spoilt("confused", (path) => {
      cpSync(composition(), join(path, BASE));
    });
    expectRefusal(await run("refused", "--model", model), BASE);
    expectRefusal(
      await atlas("eval", "--model", good(), "--target", at("swatches"), "--composition", join(good(), BASE)),
      BASE,
      "a learned composition",
    );
    expectRefusal(
      await atlas("eval", "--model", good(), "--target", at("swatches"), "--composition", at("runs", "done", "run.json")),
      "a learned composition",
    );
  });

  test("that merge is given beside --scale, or not at all", async () => {
    const merge = (...args: string[]): ReturnType<typeof atlas> =>
      atlas("merge", "--model", good(), "--out", at("merged.safetensors"), ...args);
    expectRefusal(await merge(), "neither");
    expectRefusal(await merge("--composition", composition(), "--scale", "1"), "both");
    expectRefusal(await merge("--scale", "1"), "--task-vectors", TASKS.join(", "));
    expectRefusal(await merge("--composition", composition(), "--task-vectors", "Alpha"), "--task-vectors");
    expectRefusal(await atlas("merge", "--model", good(), "--composition", composition()), "no --out");
  });
});
