import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { canonicalTensors, encodeComposition, openCheckpoint, requireFinite, type WrittenFile } from "@atlas-tv/checkpoints";
import {
  composeWeights,
  float32ToFloat16,
  InputError,
  isotropic,
  widen,
  type HostTensor,
  type NamedHostTensors,
  type StoredTensor,
} from "@atlas-tv/core";
import { Option, type Command } from "commander";
import type { DependencyContainer } from "tsyringe";
import { activeBackend, compositionRoot } from "../composition-root.js";
import { numberFlag } from "../flags.js";
import { loadComposition, loadModelFor, type LoadedComposition } from "../loaded-composition.js";
import { loadVectors, type LoadedModel } from "../loaded-model.js";
import { addFormatFlags, destination, writeModel, type FormatFlags } from "../model-writer.js";
import { compositionArtefact } from "../saved-composition.js";
import { addBackendFlags, addModelFlags, addVectorFlags, type ModelFlags, type VectorFlags } from "../shared-flags.js";
import type { Terminal } from "../terminal.js";

interface MergeFlags extends ModelFlags, VectorFlags, FormatFlags {
  readonly composition?: string;
  readonly scale?: number;
  readonly dtype: "F32" | "F16";
}

async function applied(container: DependencyContainer, model: LoadedModel, { composition, scale, taskVectors }: MergeFlags): Promise<LoadedComposition> {
  if ((composition === undefined) === (scale === undefined)) {
    throw new InputError({
      where: "atlas merge",
      got: scale === undefined ? "neither --composition nor --scale" : "both --composition and --scale",
      expected: "one of the two",
      next: "--composition runs/…/composition.safetensors, or --scale 0.3 --task-vectors A,B",
    });
  }
  if (scale === undefined) {
    if (taskVectors !== undefined) {
      throw new InputError({
        where: "--task-vectors",
        got: "task vectors beside --composition",
        expected: "--composition alone: it names its own",
      });
    }
    return loadComposition(container, model, composition!);
  }
  if (taskVectors === undefined) {
    throw new InputError({
      where: "atlas merge --scale",
      got: "no --task-vectors",
      expected: "the task vectors to add",
      next: `some of ${model.folder.tasks.join(", ")}`,
    });
  }
  const vectors = await loadVectors(model, taskVectors, "");
  return {
    composition: isotropic(),
    coefficients: { coef: new Float32Array(vectors.length).fill(scale) },
    vectors,
    mode: "standard",
  };
}

function as(dtype: "F32" | "F16", tensor: HostTensor): HostTensor {
  if (tensor.dtype === dtype) return tensor;
  return dtype === "F16"
    ? { dtype, shape: tensor.shape, data: float32ToFloat16(widen(tensor)) }
    : { dtype, shape: tensor.shape, data: widen(tensor) };
}

/** The composed encoder's blocks and buffers in the element type that was asked for. */
async function composedEncoder(model: LoadedModel, { composition, coefficients, vectors }: LoadedComposition, dtype: MergeFlags["dtype"]): Promise<NamedHostTensors> {
  const composed = await composeWeights(
    model.spec.blocks,
    model.base,
    vectors.map(({ vector }) => vector),
    composition,
    coefficients,
  );
  return new Map([...composed].map(([name, tensor]) => {
    const block = as(dtype, tensor);
    requireFinite(block, `block "${name}" of the merged model`, dtype === "F16" ? "write it with --dtype F32" : "take smaller coefficients");
    return [name, block];
  }));
}

async function merge(flags: MergeFlags): Promise<WrittenFile[]> {
  const { out, format } = await destination(flags, "merge");
  const container = await compositionRoot(flags.plugin);
  await activeBackend(container, flags.backend);
  const model = await loadModelFor(flags, flags.composition);
  if (resolve(out) === resolve(model.folder.basePath)) {
    throw new InputError({
      where: `--out ${out}`,
      got: "the base model itself",
      expected: "another file: the task vectors belong to that base",
    });
  }
  const composed = await applied(container, model, flags);
  const { composition, coefficients, vectors, mode } = composed;
  if (mode === "linearised") {
    throw new InputError({
      where: flags.composition!,
      got: "a composition of the linearised model",
      expected: "one of the model itself: a linearised one has no weights of its own",
    });
  }
  const encoder = await composedEncoder(model, composed, flags.dtype);
  const coefficientFile = flags.composition === undefined
    ? encodeComposition(compositionArtefact(model, vectors, composition, coefficients, { mode, seed: 0 }))
    : [readFileSync(flags.composition)];
  const base = await openCheckpoint(model.folder.basePath);
  try {
    return await writeModel(format, out, {
      config: model.config,
      spec: model.spec,
      normalisation: model.normalisation,
      tensors: new Map<string, StoredTensor | HostTensor>([...canonicalTensors(base.tensors, base.path), ...encoder]),
      encoder,
      provenance: { base: { name: model.folder.name, sha256: model.baseHash }, composed },
      folder: model.folder.path,
      extra: new Map([["composition.safetensors", coefficientFile]]),
    });
  } finally {
    await base.close();
  }
}

/** `atlas merge`: the model with the coefficients applied, all else as in the base, in a format that other tools load. */
export function addMerge(program: Command, terminal: Terminal): void {
  const command = program.command("merge").description("apply coefficients and write a checkpoint that other tools load");
  addFormatFlags(addVectorFlags(addModelFlags(command), "for --scale").optionsGroup("Merging:"))
    .option("--composition <file>", "a composition.safetensors")
    .option(
      "--scale <number>",
      "instead of a composition: add this much of every task vector",
      numberFlag("--scale", () => true, "a number"),
    )
    .addOption(new Option("--dtype <type>", "element type of the composed blocks").choices(["F32", "F16"]).default("F32"));
  addBackendFlags(command).action(async (flags: MergeFlags) => {
    const written = await merge(flags);
    const document = written.length === 1 ? written[0] : { path: flags.out, files: written };
    terminal.out(
      flags.json
        ? JSON.stringify(document, null, 2)
        : written.map(({ path, bytes, sha256 }) => `${path}: ${bytes} bytes, sha256 ${sha256}`).join("\n"),
    );
  });
}
