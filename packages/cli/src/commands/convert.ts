import { resolve } from "node:path";
import {
  canonicalTensors, isModelFolder, loadBase, openCheckpoint, openModelFolder, sha256Files, writeSafetensorsFile, type CheckpointFile, type WrittenFile,
} from "@atlas-tv/checkpoints";
import { visionSpec } from "@atlas-tv/clip";
import { InputError, type StateDict } from "@atlas-tv/core";
import type { Command } from "commander";
import { findArchitecture } from "../model-architecture.js";
import { addFormatFlags, destination, writeModel, type FormatFlags } from "../model-writer.js";
import { addSharedFlags, type SharedFlags } from "../shared-flags.js";
import type { Terminal } from "../terminal.js";

interface ConvertFlags extends SharedFlags, FormatFlags {
  readonly config?: string;
}

/** Integers that only repeat what the shapes say: no model of open_clip's holds them. */
const REDUNDANT = /(^|\.)(position_ids|input_resolution|context_length|vocab_size)$/;

/** Whether tensors under open_clip's names are those of a CLIP. */
function holdsImageEncoder(tensors: StateDict): boolean {
  return tensors.has("visual.conv1.weight");
}

async function convertOpened(input: string, file: CheckpointFile, flags: ConvertFlags): Promise<WrittenFile[]> {
  const { out, format } = await destination(flags, "convert");
  if (file.files.some((path) => resolve(path) === resolve(out))) {
    throw new InputError({ where: `--out ${out}`, got: "the checkpoint itself", expected: "another file" });
  }
  const named = new Map([...canonicalTensors(file.tensors, input)].filter(([name]) => !REDUNDANT.test(name)));
  const isModel = holdsImageEncoder(named);
  if (format === "safetensors") {
    return [await writeSafetensorsFile(out, isModel ? named : file.tensors, { ...file.metadata, ...(isModel ? { format: "pt" } : {}) })];
  }
  if (!isModel) {
    throw new InputError({
      where: input,
      got: `${file.description}, without an image encoder`,
      expected: `a CLIP, to be written as ${format}`,
      next: "anything that holds tensors can be written as safetensors: --out FILE.safetensors",
    });
  }
  const folder = openModelFolder(input);
  const { config, normalisation } = await findArchitecture(folder, flags.config);
  const spec = visionSpec(config);
  return writeModel(format, out, {
    config,
    spec,
    normalisation,
    tensors: named,
    encoder: format === "onnx" ? await loadBase(spec, file.tensors, input) : new Map(),
    provenance: { base: { name: folder.name, sha256: await sha256Files(file.files) }, composed: null },
    folder: folder.path,
  });
}

async function convert(input: string, flags: ConvertFlags): Promise<WrittenFile[]> {
  // Of a folder of models, the base.
  const path = isModelFolder(input) ? openModelFolder(input).basePath : input;
  const file = await openCheckpoint(path);
  try {
    return await convertOpened(input, file, flags);
  } finally {
    await file.close();
  }
}

/** `atlas convert`: a checkpoint in another format, bit for bit. */
export function addConvert(program: Command, terminal: Terminal): void {
  const command = program
    .command("convert")
    .description("write a checkpoint in another format")
    .argument("<checkpoint>", "a file or folder in any format that is read")
    .option("--config <file>", "the model's configuration, where neither folder nor checkpoint tells it");
  addSharedFlags(addFormatFlags(command)).action(async (input: string, flags: ConvertFlags) => {
    const written = await convert(input, flags);
    terminal.out(
      flags.json
        ? JSON.stringify({ files: written }, null, 2)
        : written.map(({ path, bytes, sha256 }) => `${path}: ${bytes} bytes, sha256 ${sha256}`).join("\n"),
    );
  });
}
