import { readFileSync } from "node:fs";
import { join } from "node:path";
import { assertWritable, writeFileAtomically } from "@atlas-tv/checkpoints";
import { InputError } from "@atlas-tv/core";
import { oneAtATime } from "./file-lock.js";

type JsonObject = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The entries of a file, null where there is no file. @throws InputError when it is no JSON object. */
function readEntries(path: string): JsonObject | null {
  let got: string;
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (isObject(value)) return value;
    got = "JSON that is not an object";
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT") return null;
    got = cause instanceof Error ? cause.message : String(cause);
  }
  throw new InputError({ where: path, got, expected: "a JSON object, to add results to", next: "move the file away, or give another --save" });
}

/** A file that collects the results of many runs in the reference's layout: `<save>/<model>/<name>`. */
export class ReferenceFile {
  private constructor(readonly path: string) {}

  /**
   * Checks, before long work, that results can be added.
   * @throws InputError when the folder cannot be written, or a file of that name is there and is no JSON object.
   */
  static async open(save: string, model: string, name: string): Promise<ReferenceFile> {
    const folder = join(save, model);
    await assertWritable(folder);
    const file = new ReferenceFile(join(folder, name));
    readEntries(file.path);
    return file;
  }

  /** Adds the entries of a run's own document; those of other targets stay, also where runs end at the same time. @throws InputError when it is missing. */
  async add(document: string): Promise<void> {
    const added = readEntries(document);
    if (added === null) {
      throw new InputError({ where: document, got: "no such file", expected: "the results of the run, to be added to others", next: "give another --run" });
    }
    await oneAtATime(this.path, async () => {
      const merged = { ...readEntries(this.path), ...added };
      await writeFileAtomically(this.path, [`${JSON.stringify(merged, null, 4)}\n`]);
    });
  }
}
