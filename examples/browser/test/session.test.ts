import "@tensorflow/tfjs-backend-wasm";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { blobSource, decodeComposition } from "@atlas-tv/checkpoints";
import { PlainBackend } from "@atlas-tv/core";
import { ZOO_MODEL, zooCheckpoints } from "@atlas-tv/zoo";
import * as tf from "@tensorflow/tfjs-core";
import { beforeAll, describe, expect, it } from "vitest";
import type { EpochReport } from "../src/adaptation.js";
import type { LabelledPicture } from "../src/picture-set.js";
import { Session, type LearningTask } from "../src/session.js";
import { digitImages } from "./digit-images.js";

/** The zoo's model as a browser gives a folder that was picked. */
function pickedZoo(): File[] {
  const root = join(zooCheckpoints(), ZOO_MODEL);
  return readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => {
    const path = join(entry.parentPath, entry.name);
    const webkitRelativePath = `${ZOO_MODEL}/${path.slice(root.length + 1).replaceAll("\\", "/")}`;
    return Object.defineProperty(new File([readFileSync(path)], entry.name), "webkitRelativePath", { value: webkitRelativePath });
  });
}

const CLASSES = ["zero", "one", "two"];

async function pictures(): Promise<LabelledPicture[]> {
  const images = await digitImages(4, "session");
  return images.filter(({ label }) => label < CLASSES.length).map(({ name, bytes, label }) => ({ name, label, blob: new Blob([new Uint8Array(bytes)]) }));
}

const nothing = (): void => undefined;

let session: Session;
let task: LearningTask;
let all: LabelledPicture[];

beforeAll(async () => {
  session = new Session([{ id: "wasm", title: "wasm", backend: new PlainBackend("wasm"), device: () => "Node", remark: () => null }]);
  await session.start("automatic");
  await session.open({ kind: "folder", files: pickedZoo() });
  all = await pictures();
  task = {
    classNames: CLASSES,
    templates: ["{}", "the digit {}"],
    learning: all.filter((_, at) => at % 2 === 0),
    checking: all.filter((_, at) => at % 2 === 1),
    tasks: ["Greek", "StreetDigits"],
    settings: { epochs: 1, batchSize: 8, learningRate: 0.05, augmentation: "affine", seed: 1 },
  };
});

describe("a session", () => {
  it("learns, reports, predicts, and saves what it learned", async () => {
    const reports: EpochReport[] = [];
    const losses: number[] = [];
    const result = await session.learn(task, (_step, _steps, loss) => losses.push(loss), (report) => reports.push(report));
    expect(result).toMatchObject({ stopped: false, head: { from: "names", remark: "" } });
    expect(reports.map(({ epoch }) => epoch)).toEqual([0, 1]);
    expect(reports[0]!.coefficients.every((value) => value === 0)).toBe(true);
    expect(reports[1]!.coefficients.some((value) => value !== 0)).toBe(true);
    expect(reports.map(({ checked, learned }) => [checked?.total, learned.total])).toEqual([[6, 6], [6, 6]]);
    expect(losses.length).toBeGreaterThanOrEqual(10);

    const { before, after, classNames, features } = await session.predict(all[0]!.blob, "a digit");
    expect(classNames).toEqual(CLASSES);
    for (const shares of [before, after]) expect(shares.reduce((sum, value) => sum + value)).toBeCloseTo(1, 5);
    expect(features).toHaveLength(128);

    const saved = await decodeComposition(blobSource(await session.composition()), "saved");
    expect(saved.taskVectors.map(({ name }) => name)).toEqual(task.tasks);
    expect([...saved.coefficients["coef"]!]).toEqual([...reports[1]!.coefficients]);
  });

  it("keeps no tensor behind", async () => {
    const { numTensors } = tf.memory();
    await session.learn(task, () => { session.stop(); }, nothing);
    await session.predict(all[0]!.blob, "a digit");
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it("keeps the last whole epoch when it is stopped", async () => {
    const settings = { ...task.settings, epochs: 50 };
    const result = await session.learn({ ...task, settings }, nothing, ({ epoch }) => { if (epoch === 1) session.stop(); });
    expect(result.stopped).toBe(true);
    expect(result.reports.at(-1)!.epoch).toBe(1);
    const saved = await decodeComposition(blobSource(await session.composition()), "saved");
    expect([...saved.coefficients["coef"]!]).toEqual([...result.reports.at(-1)!.coefficients]);
  });

  it("tells classes apart by their images where the model knows no word of a name", async () => {
    const learning = all.filter((_, at) => at % 4 === 0);
    const result = await session.learn({ ...task, classNames: ["zero", "one", "Zwei"], learning, checking: [] }, nothing, () => { session.stop(); });
    expect(result.head.from).toBe("images");
    expect(result.head.remark).toContain("no word of the class name “Zwei”");
    // One image a class: each is its own prototype.
    expect(result.reports[0]!).toMatchObject({ checked: null, learned: { accuracy: 1 } });
  });

  it("has nothing to save or to look with before it has learned", async () => {
    await session.open({ kind: "folder", files: pickedZoo() });
    await expect(session.predict(all[0]!.blob, "a digit")).rejects.toThrow("nothing has been learned");
    await expect(session.composition()).rejects.toThrow("nothing has been learned");
  });

  it("refuses what is no image, no model, and no choice of task vectors, in sentences", async () => {
    await expect(session.checkImage(new Blob(["hello"]), "notes.txt")).rejects.toThrow(/^notes\.txt\n.*"hello"/);
    await expect(session.learn({ ...task, tasks: [] }, nothing, nothing)).rejects.toThrow("tick one under Model");
    await expect(session.open({ kind: "folder", files: [] })).rejects.toThrow("no open_clip_config.json");
    await expect(session.open({ kind: "url", url: "models/mine" })).rejects.toThrow("a full address");
    const twice = pickedZoo().flatMap((file) => ["a", "b"].map((folder) => {
      return Object.defineProperty(new File([file], file.name), "webkitRelativePath", { value: `models/${folder}/${file.name}` });
    }));
    await expect(session.open({ kind: "folder", files: twice })).rejects.toThrow("2 models");
  });
});
