import { dirname, resolve } from "node:path";
import { assertWritable, openCheckpoint, writeSafetensorsFile, type WritableTensors } from "@atlas-tv/checkpoints";
import { composeWeights, float32ToFloat16, InputError, isotropic, widen, type Composition, type HostTensor, type NamedArrays, type StoredTensor } from "@atlas-tv/core";
import { Option, type Command } from "commander";
import { activeBackend, compositionRoot } from "../composition-root.js";
import { numberFlag } from "../flags.js";
import { loadModel, loadVectors, type LoadedModel, type LoadedVector } from "../loaded-model.js";
import { addModelFlags, type ModelFlags } from "../shared-flags.js";
import type { Terminal } from "../terminal.js";
import { loadComposition } from "./eval.js";

interface MergeFlags extends ModelFlags {
  readonly composition?: string;
  readonly scale?: number;
  readonly out: string;
  readonly dtype: "F32" | "F16";
}

async function applied(model: LoadedModel, flags: MergeFlags): Promise<{ composition: Composition; coefficients: NamedArrays; vectors: LoadedVector[] }> {
  if ((flags.composition === undefined) === (flags.scale === undefined)) {
    throw new InputError({ where: "atlas merge", got: flags.scale === undefined ? "neither --composition nor --scale" : "both --composition and --scale", expected: "one of the two" });
  }
  if (flags.composition !== undefined) return loadComposition(model, flags.composition);
  if (flags.taskVectors === undefined) throw new InputError({ where: "atlas merge --scale", got: "no --task-vectors", expected: "the task vectors to add", next: `for example --task-vectors ${model.folder.tasks.slice(0, 2).join(",")}` });
  const vectors = await loadVectors(model, flags.taskVectors, "");
  return { composition: isotropic(), coefficients: { coef: new Float32Array(vectors.length).fill(flags.scale!) }, vectors };
}

function as(dtype: "F32" | "F16", tensor: HostTensor): HostTensor {
  if (tensor.dtype === dtype) return tensor;
  return dtype === "F16"
    ? { dtype, shape: tensor.shape, data: float32ToFloat16(widen(tensor)) }
    : { dtype, shape: tensor.shape, data: widen(tensor) };
}

/** `atlas merge`: one checkpoint with the coefficients applied, in open_clip's names; all else as in the base. */
export function addMerge(program: Command, terminal: Terminal): void {
  const command = program.command("merge").description("apply coefficients and write a checkpoint that other tools load");
  addModelFlags(command)
    .option("--composition <file>", "a composition.safetensors")
    .option("--scale <number>", "instead of a composition: add this much of every task vector", numberFlag("--scale", () => true, "a number"))
    .requiredOption("--out <file>", "the .safetensors file to write")
    .addOption(new Option("--dtype <type>", "element type of the composed blocks").choices(["F32", "F16"]).default("F32"))
    .action(async (flags: MergeFlags) => {
      await assertWritable(dirname(resolve(flags.out)));
      await activeBackend(await compositionRoot(flags.plugin), flags.backend);
      const model = await loadModel(flags);
      const { composition, coefficients, vectors } = await applied(model, flags);
      const composed = await composeWeights(model.spec.blocks, model.base, vectors.map(({ vector }) => vector), composition, coefficients);
      const base = await openCheckpoint(model.folder.basePath);
      try {
        const tensors = new Map<string, StoredTensor | HostTensor>(base.tensors);
        for (const [name, tensor] of composed) tensors.set(name, as(flags.dtype, tensor));
        const about = {
          format: "pt",
          base: `${model.folder.name} ${model.baseHash}`,
          task_vectors: JSON.stringify(vectors.map(({ vector, hash }) => ({ name: vector.name, sha256: hash }))),
          composition: composition.id,
        };
        const written = await writeSafetensorsFile(flags.out, tensors satisfies WritableTensors, about);
        terminal.out(flags.json ? JSON.stringify(written, null, 2) : `${written.path}: ${written.bytes} bytes, sha256 ${written.sha256}`);
      } finally {
        await base.close();
      }
    });
}
