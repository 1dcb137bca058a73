import { join } from "node:path";
import { Option, type Command } from "commander";
import { addBudgetFlags } from "../budget.js";
import { compositionRoot } from "../composition-root.js";
import { addCompositionFlags } from "../compositions.js";
import { addFinetuningModeFlag, runSuffix } from "../finetuning-mode.js";
import { count, mapping, positive, wholeFromZero } from "../flags.js";
import { addLearningFlags, addRegularisationFlag } from "../learning-flags.js";
import { printOutcomes } from "../outcomes.js";
import { compositionFile } from "../reference-layouts.js";
import { addRunFlags, addSaveFlag, eachSeed, remarkSavedSeed } from "../run-flags.js";
import { addBackendFlags, addTargetFlags, addVectorFlags } from "../shared-flags.js";
import { Remarks, type Terminal } from "../terminal.js";
import { runUfm, setUpUfm, type UfmFlags } from "../ufm-run.js";

async function ufm(flags: UfmFlags, terminal: Terminal): Promise<void> {
  const remarks = new Remarks(terminal, flags.json);
  const prepared = await setUpUfm(await compositionRoot(flags.plugin), flags, remarks);
  const { dataset, composition, objective } = prepared;
  const name = [dataset.name, objective.factory.id, composition.label, ...runSuffix(flags)].join("-");
  const outcomes = await eachSeed(flags, join("runs", "ufm", name), (seed, path) => runUfm(prepared, flags, seed, path, remarks.ofRun(), terminal));
  remarkSavedSeed(flags, compositionFile(flags.finetuningMode), remarks);
  const about = { target: dataset.name, objective: objective.factory.id, composition: composition.label };
  const heading = `${dataset.name}, ${dataset.test.length} test images`;
  printOutcomes({ heading, label: `${objective.factory.id}, ${composition.label}`, about }, outcomes, flags, remarks, terminal);
}

/** `atlas ufm`: adapt to the target's test images without any label. */
export function addUfm(program: Command, terminal: Terminal): void {
  const command = program.command("ufm").description("learn coefficients from the target's test images, without any label");
  addFinetuningModeFlag(addVectorFlags(addTargetFlags(command), "default: all but the target's"));
  addBudgetFlags(command)
    .optionsGroup("What is learned:")
    .option("--objective <name>", "what is minimised: ufm, entropy", "ufm")
    .option("--objective-options <mapping>", 'options of that objective, as YAML: "{ omegaStart: 0.95 }"', mapping("--objective-options"))
    .option("--ufm-exponent <e>", "targets are pᵉ / Σ pᵉ (default: the preset's)", positive("--ufm-exponent"))
    .addOption(
      new Option("--ufm-confidence <which>", "what must exceed the threshold: p, or the target (default: the preset's)").choices([
        "raw",
        "sharpened",
      ]),
    )
    .option("--images <n>", "adapt to so many of the test images, drawn by the seed (default: 2500; all with the other presets)", count("--images"));
  addCompositionFlags(command);
  addRegularisationFlag(addLearningFlags(command)).option(
    "--validation-images <n>",
    "labelled images looked at after each epoch, for the selected epoch that is reported apart",
    wholeFromZero("--validation-images"),
    500,
  );
  addSaveFlag(addRunFlags(command, "runs/ufm/<what is learned>"));
  addBackendFlags(command).action((flags: UfmFlags) => ufm(flags, terminal));
}
