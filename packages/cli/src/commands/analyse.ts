import { join } from "node:path";
import { assertWritable, writeFileAtomically } from "@atlas-tv/checkpoints";
import { InputError } from "@atlas-tv/core";
import type { Command } from "commander";
import { coefficientsOf, cosinesOf, disentanglementOf, plotsOf, type Analysis } from "../analysis-run.js";
import { activeBackend, compositionRoot } from "../composition-root.js";
import { addFinetuningModeFlag, sidesOf, type FinetuningModeFlags } from "../finetuning-mode.js";
import { count, numberFlag } from "../flags.js";
import { loadComposition, loadModelFor } from "../loaded-composition.js";
import { loadModel, loadVectors } from "../loaded-model.js";
import { svgOf } from "../plots.js";
import { addBackendFlags, addModelFlags, addVectorFlags, dataLocationFlag, type ModelFlags, type VectorFlags } from "../shared-flags.js";
import { Remarks, table, type Terminal } from "../terminal.js";

/** A usual coefficient of a sum of task vectors (Ilharco et al. 2023). */
const SCALE = 0.3;

interface AnalyseFlags extends ModelFlags, VectorFlags, FinetuningModeFlags {
  readonly composition?: string;
  readonly disentanglement: boolean;
  readonly scale?: number;
  readonly images?: number;
  readonly dataLocation?: string;
  readonly out: string;
}

/** What a composition says itself. @throws InputError where a flag says it too. */
function refuseBesideComposition({ composition, taskVectors, finetuningMode, scale }: AnalyseFlags): void {
  if (composition === undefined) return;
  const said = [
    { flag: "--task-vectors", got: taskVectors === undefined ? null : "task vectors", own: "it names its own" },
    { flag: "--finetuning-mode", got: finetuningMode === "standard" ? null : finetuningMode, own: "it says which model it was learned in" },
    { flag: "--scale", got: scale === undefined ? null : "a coefficient", own: "it has its own" },
  ].find(({ got }) => got !== null);
  if (said === undefined) return;
  throw new InputError({ where: said.flag, got: `${said.got} beside --composition`, expected: `--composition alone: ${said.own}` });
}

async function analyse(flags: AnalyseFlags, remarks: Remarks, terminal: Terminal): Promise<{ analysis: Analysis; files: string[] }> {
  const container = await compositionRoot(flags.plugin);
  const backend = await activeBackend(container, flags.backend);
  await assertWritable(flags.out);
  refuseBesideComposition(flags);
  const { fineTuning, mode } = sidesOf(flags.finetuningMode);
  const model = flags.composition === undefined ? await loadModel(flags, { fineTuning }) : await loadModelFor(flags, flags.composition);
  const where = flags.composition ?? "";
  const loaded = flags.composition === undefined ? null : await loadComposition(container, model, where, "whole");
  const vectors = loaded?.vectors ?? (await loadVectors(model, flags.taskVectors, ""));
  const disentanglement = flags.disentanglement
    ? await disentanglementOf(
        {
          backend,
          model,
          vectors,
          learned: loaded === null ? null : { loaded, where },
          scale: flags.scale ?? SCALE,
          mode,
          ...(flags.images === undefined ? {} : { images: flags.images }),
        },
        flags,
        { backend, remarks, signal: terminal.signal },
      )
    : null;
  const analysis: Analysis = {
    model: model.folder.name,
    taskVectors: vectors.map(({ vector }) => vector.name),
    cosines: cosinesOf(vectors),
    coefficients: loaded === null ? null : coefficientsOf(model, loaded, where),
    disentanglement,
  };
  const json = join(flags.out, "analysis.json");
  await writeFileAtomically(json, [`${JSON.stringify(analysis, null, 2)}\n`]);
  const files = [json];
  for (const [name, plot] of Object.entries(plotsOf(analysis))) {
    const path = join(flags.out, name);
    await writeFileAtomically(path, [await svgOf(plot)]);
    files.push(path);
  }
  return { analysis, files };
}

function matrixTable(title: string, names: readonly string[], matrix: readonly (readonly (number | null)[])[]): string {
  const cell = (value: number | null): string => (value === null ? "" : value.toFixed(3));
  return table([[title, ...names], ...matrix.map((row, i) => [names[i]!, ...row.map(cell)])]);
}

/** `atlas analyse`: how alike task vectors are, where coefficients are large, and how much vectors interfere. */
export function addAnalyse(program: Command, terminal: Terminal): void {
  const command = program.command("analyse").description("cosines of task vectors, learned coefficients, disentanglement error");
  addFinetuningModeFlag(addVectorFlags(addModelFlags(command), "default: all of the model"))
    .option("--composition <file>", "a composition.safetensors: its vectors, and its coefficients by layer and kind of block")
    .optionsGroup("Disentanglement error:")
    .option("--disentanglement", "also measure it, on the test images of every task vector's own data set", false)
    .option(
      "--scale <number>",
      `the coefficient of every vector, where no composition gives them (default: ${SCALE})`,
      numberFlag("--scale", () => true, "a number"),
    )
    .option("--images <n>", "test images of each data set (default: all)", count("--images"))
    .addOption(dataLocationFlag())
    .optionsGroup("Results:")
    .option("--out <dir>", "folder for analysis.json and SVG files", join("runs", "analysis"));
  addBackendFlags(command).action(async (flags: AnalyseFlags) => {
    const remarks = new Remarks(terminal, flags.json);
    const { analysis, files } = await analyse(flags, remarks, terminal);
    if (flags.json) {
      terminal.out(JSON.stringify({ ...analysis, files, notes: remarks.all }, null, 2));
      return;
    }
    const { taskVectors, cosines, disentanglement } = analysis;
    terminal.out(matrixTable("cosine", taskVectors, cosines));
    if (disentanglement !== null) terminal.out(`\n${matrixTable("error on", taskVectors, disentanglement.errors)}`);
    terminal.out(`\n${files.join("\n")}`);
  });
}
