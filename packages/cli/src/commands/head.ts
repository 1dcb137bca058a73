import { existsSync, readFileSync } from "node:fs";
import { basename, extname, join } from "node:path";
import { hashJson, headFile, headFileName, readCheckpoint, writeSafetensorsFile, type WrittenFile } from "@atlas-tv/checkpoints";
import { InputError } from "@atlas-tv/core";
import { classPromptName, classPrompts } from "@atlas-tv/datasets";
import type { Command } from "commander";
import { activeBackend, compositionRoot } from "../composition-root.js";
import { countedProgress } from "../counted-progress.js";
import { buildHead, type Prompts } from "../head-builder.js";
import { loadModel, type LoadedModel } from "../loaded-model.js";
import { assertFilePlace } from "../output-file.js";
import { addBackendFlags, addModelFlags, dataLocationFlag, threadsOf, type ModelFlags } from "../shared-flags.js";
import { findTarget } from "../target-data.js";
import { Remarks, type Terminal } from "../terminal.js";

interface HeadFlags extends ModelFlags {
  readonly target?: string;
  readonly dataLocation?: string;
  readonly classNames?: string;
  readonly templates?: string;
  readonly name?: string;
  readonly out?: string;
  readonly overwrite: boolean;
}

/** What became of a head. */
interface MadeHead {
  readonly path: string;
  readonly classes: number;
  readonly templates: number;
  /** Null for a head that was there already. */
  readonly written: WrittenFile | null;
}

/** Texts of a file: a JSON list, or one a line. */
function readTexts(flag: string, path: string): string[] {
  const fail = (got: string, cause?: unknown): InputError =>
    new InputError({ where: `${flag} ${path}`, got, expected: "a text file with one entry a line, or a JSON list of texts" }, { cause });
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (cause) {
    throw fail("no readable file", cause);
  }
  let entries: unknown = content.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "");
  if (content.trimStart().startsWith("[")) {
    try {
      entries = JSON.parse(content);
    } catch (cause) {
      throw fail("a list that is not JSON", cause);
    }
  }
  if (Array.isArray(entries) && entries.length > 0 && entries.every((entry) => typeof entry === "string")) return entries;
  throw fail("no list of texts");
}

async function prompts({ target, dataLocation, classNames, templates, name }: HeadFlags): Promise<Prompts> {
  if ((target === undefined) === (classNames === undefined)) {
    throw new InputError({
      where: "atlas head",
      got: target === undefined ? "neither --target nor --class-names" : "both --target and --class-names",
      expected: "one of the two: a data set, or a file with the names of the classes",
    });
  }
  if (name !== undefined && (name === "" || /[/\\]/.test(name))) {
    throw new InputError({
      where: `--name ${name}`,
      got: name === "" ? "nothing" : "a path",
      expected: "the name of a data set, which becomes a part of the file's name",
      next: "for a folder of pictures it is the name of that folder, without what is above it",
    });
  }
  const own = templates === undefined ? undefined : readTexts("--templates", templates);
  if (target !== undefined) {
    const where = dataLocation === undefined ? {} : { dataLocation };
    const published = classPromptName(target) === null ? await findTarget({ target, ...where }) : await classPrompts(target);
    return { name: name ?? published.name, classNames: published.classNames, templates: own ?? published.templates };
  }
  if (own === undefined) {
    throw new InputError({ where: "--class-names", got: "no --templates", expected: "the file of the templates, with {} for the class name" });
  }
  return { name: name ?? basename(classNames!, extname(classNames!)), classNames: readTexts("--class-names", classNames!), templates: own };
}

/** Whether a file holds this head already. @throws InputError when it holds another. */
async function isMade(path: string, about: Readonly<Record<string, string>>, overwrite: boolean): Promise<boolean> {
  if (!existsSync(path)) return false;
  const { base, prompts_sha256: made } = await readCheckpoint(path, ({ metadata }) => Promise.resolve(metadata));
  if (base === about["base"] && made === about["prompts_sha256"]) return true;
  if (overwrite) return false;
  throw new InputError({
    where: path,
    got: "a head of other class names, templates or weights",
    expected: "no file, or the same head",
    next: "give --overwrite to replace it, or another --out",
  });
}

async function makeHead(flags: HeadFlags, terminal: Terminal, remarks: Remarks): Promise<MadeHead> {
  const backend = await activeBackend(await compositionRoot(flags.plugin), flags.backend);
  const wanted = await prompts(flags);
  const model: LoadedModel = await loadModel(flags);
  const path = flags.out ?? join(model.folder.path, headFileName(wanted.name));
  await assertFilePlace(path);
  const { classNames, templates } = wanted;
  const about = { base: model.baseHash, prompts_sha256: await hashJson({ classNames: [...classNames], templates: [...templates] }) };
  const counts = { path, classes: classNames.length, templates: templates.length };
  if (await isMade(path, about, flags.overwrite)) return { ...counts, written: null };
  const progress = countedProgress(`${wanted.name} prompts`, terminal, { quiet: flags.quiet || flags.json });
  try {
    const { onProgress } = progress;
    const head = await buildHead(model, wanted, { backend, remark: remarks.add, onProgress, signal: terminal.signal, ...threadsOf(flags) });
    const { tensors, metadata } = headFile(head, { ...about, format: "pt", templates: JSON.stringify(templates) });
    return { ...counts, written: await writeSafetensorsFile(path, tensors, metadata) };
  } finally {
    progress.end();
  }
}

/** `atlas head`: the zero-shot head of a data set, from class names and templates through the model's text encoder. */
export function addHead(program: Command, terminal: Terminal): void {
  const command = program.command("head").description("build a data set's zero-shot head from class names and templates");
  addModelFlags(command)
    .option("--target <name or path>", "the data set: one of the paper's, another that is known, or a folder of images")
    .addOption(dataLocationFlag())
    .optionsGroup("Building:")
    .option("--class-names <file>", "instead of a data set: names of the classes in the order of their labels, one a line or a JSON list")
    .option("--templates <file>", "templates with {} for the class name, likewise (default: the data set's; needed with --class-names)")
    .option("--name <name>", "name of the head (default: the data set's, or that of the file of class names)")
    .option("--out <file>", "the .safetensors file to write (default: head_<name>Val.safetensors beside the model)")
    .option("--overwrite", "replace a head of other class names or templates", false);
  addBackendFlags(command).action(async (flags: HeadFlags) => {
    const remarks = new Remarks(terminal, flags.json);
    const { path, classes, templates, written } = await makeHead(flags, terminal, remarks);
    const size = `${classes} classes, ${templates} templates`;
    terminal.out(
      flags.json
        ? JSON.stringify({ path, classes, templates, cached: written === null, sha256: written?.sha256 ?? null, notes: remarks.all }, null, 2)
        : `${path}: ${size}${written === null ? ", there already" : ""}`,
    );
  });
}
