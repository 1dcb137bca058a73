import { dirname, resolve } from "node:path";
import { assertWritable, canonicalTensors, openCheckpoint, requireFinite, writeSafetensorsFile, type WrittenFile } from "@atlas-tv/checkpoints";
import {
  composeWeights,
  float32ToFloat16,
  InputError,
  isotropic,
  widen,
  type HostTensor,
  type StoredTensor,
} from "@atlas-tv/core";
import { Option, type Command } from "commander";
import type { DependencyContainer } from "tsyringe";
import { activeBackend, compositionRoot } from "../composition-root.js";
import { numberFlag } from "../flags.js";
import { loadComposition, loadModelFor, type LoadedComposition } from "../loaded-composition.js";
import { loadVectors, type LoadedModel } from "../loaded-model.js";
import { addBackendFlags, addModelFlags, addVectorFlags, type ModelFlags, type VectorFlags } from "../shared-flags.js";
import type { Terminal } from "../terminal.js";

interface MergeFlags extends ModelFlags, VectorFlags {
  readonly composition?: string;
  readonly scale?: number;
  readonly out?: string;
  readonly dtype: "F32" | "F16";
}

function requireOut({ out }: MergeFlags): string {
  if (out === undefined) {
    throw new InputError({
      where: "atlas merge",
      got: "no --out",
      expected: "the .safetensors file to write",
      next: "for example --out merged/zeroshot.safetensors",
    });
  }
  return out;
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

async function merge(flags: MergeFlags): Promise<WrittenFile> {
  const out = requireOut(flags);
  await assertWritable(dirname(resolve(out)));
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
  const { composition, coefficients, vectors, mode } = await applied(container, model, flags);
  if (mode === "linearised") {
    throw new InputError({
      where: flags.composition!,
      got: "a composition of the linearised model",
      expected: "one of the model itself: a linearised one has no weights of its own",
    });
  }
  const composed = await composeWeights(
    model.spec.blocks,
    model.base,
    vectors.map(({ vector }) => vector),
    composition,
    coefficients,
  );
  const base = await openCheckpoint(model.folder.basePath);
  try {
    const tensors = new Map<string, StoredTensor | HostTensor>(canonicalTensors(base.tensors, base.path));
    for (const [name, tensor] of composed) {
      const block = as(flags.dtype, tensor);
      requireFinite(
        block,
        `block "${name}" of the merged model`,
        flags.dtype === "F16" ? "write it with --dtype F32" : "take smaller coefficients",
      );
      tensors.set(name, block);
    }
    return await writeSafetensorsFile(out, tensors, {
      format: "pt",
      base: `${model.folder.name} ${model.baseHash}`,
      task_vectors: JSON.stringify(vectors.map(({ vector, hash }) => ({ name: vector.name, sha256: hash }))),
      composition: composition.id,
    });
  } finally {
    await base.close();
  }
}

/** `atlas merge`: one checkpoint with the coefficients applied, in open_clip's names; all else as in the base. */
export function addMerge(program: Command, terminal: Terminal): void {
  const command = program.command("merge").description("apply coefficients and write a checkpoint that other tools load");
  addVectorFlags(addModelFlags(command), "for --scale")
    .optionsGroup("Merging:")
    .option("--composition <file>", "a composition.safetensors")
    .option(
      "--scale <number>",
      "instead of a composition: add this much of every task vector",
      numberFlag("--scale", () => true, "a number"),
    )
    .option("--out <file>", "the .safetensors file to write")
    .addOption(new Option("--dtype <type>", "element type of the composed blocks").choices(["F32", "F16"]).default("F32"));
  addBackendFlags(command).action(async (flags: MergeFlags) => {
    const written = await merge(flags);
    terminal.out(
      flags.json ? JSON.stringify(written, null, 2) : `${written.path}: ${written.bytes} bytes, sha256 ${written.sha256}`,
    );
  });
}
