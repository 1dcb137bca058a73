import { join } from "node:path";
import { Option, type Command } from "commander";
import { addAdapterFlags } from "../adapters.js";
import { addBudgetFlags } from "../budget.js";
import { compositionRoot } from "../composition-root.js";
import { addCompositionFlags } from "../compositions.js";
import { runOne, setUp, subsampleText, type FewShotFlags } from "../few-shot-run.js";
import { addFinetuningModeFlag, runSuffix } from "../finetuning-mode.js";
import { mapping, parseSubsample, share, wholeFromZero } from "../flags.js";
import { addLearningFlags, addRegularisationFlag } from "../learning-flags.js";
import { printOutcomes } from "../outcomes.js";
import { compositionFile } from "../reference-layouts.js";
import { addRunFlags, addSaveFlag, eachSeed, remarkSavedSeed } from "../run-flags.js";
import { addBackendFlags, addTargetFlags, addVectorFlags } from "../shared-flags.js";
import { Remarks, type Terminal } from "../terminal.js";

async function fewShots(flags: FewShotFlags, terminal: Terminal): Promise<void> {
  const remarks = new Remarks(terminal, flags.json);
  const prepared = await setUp(await compositionRoot(flags.plugin), flags, remarks);
  const { dataset, adapter } = prepared.setup;
  const method = adapter === null ? [prepared.label] : [prepared.label, adapter.id, ...(flags.compose ? [adapter.mode] : [])];
  const name = [dataset.name, subsampleText(flags.subsample), ...method, ...runSuffix(flags)].join("-");
  const outcomes = await eachSeed(flags, join("runs", "few-shots", name), (seed, path) =>
    runOne(prepared, flags, seed, path, remarks.ofRun(), terminal),
  );
  remarkSavedSeed(flags, compositionFile(flags.finetuningMode), remarks);
  const about = {
    target: dataset.name,
    subsample: subsampleText(flags.subsample),
    composition: flags.compose ? prepared.label : null,
    adapter: adapter?.id ?? null,
  };
  const heading = `${dataset.name}, ${dataset.test.length} test images`;
  printOutcomes({ heading, label: prepared.label, about }, outcomes, flags, remarks, terminal);
}

/** `atlas few-shots`: learn a composition from k labelled images a class, or from a fraction of the data. */
export function addFewShots(program: Command, terminal: Terminal): void {
  const command = program.command("few-shots").description("learn coefficients from a few labelled images of the target");
  addFinetuningModeFlag(addVectorFlags(addTargetFlags(command), "default: all but the target's"));
  addBudgetFlags(command)
    .optionsGroup("What is learned:")
    .addOption(
      new Option("--subsample <k or fraction>", "images a class (4), or a share of the data (0.25)")
        .argParser(parseSubsample)
        .default({ shots: 16 }, "16"),
    )
    .option("--allow-short", "take all images of a class that has fewer than k", false)
    .option("--objective <name>", "what is minimised", "cross-entropy")
    .option("--objective-options <mapping>", 'options of that objective, as YAML: "{ gamma: 1 }"', mapping("--objective-options"));
  addAdapterFlags(addCompositionFlags(command));
  addRegularisationFlag(addLearningFlags(command))
    .option("--label-smoothing <share>", "of the cross-entropy", share("--label-smoothing"), 0)
    .option(
      "--validation-images <n>",
      "looked at after each epoch, for the selected epoch that is reported apart",
      wholeFromZero("--validation-images"),
      500,
    );
  addSaveFlag(addRunFlags(command, "runs/few-shots/<what is learned>"));
  addBackendFlags(command).action((flags: FewShotFlags) => fewShots(flags, terminal));
}
