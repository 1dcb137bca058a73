import { join } from "node:path";
import { estimate, type Estimate } from "@atlas-tv/core";
import { Option, type Command } from "commander";
import { compositionRoot } from "../composition-root.js";
import type { FewShotSetup } from "../few-shot-experiment.js";
import { runOne, setUp, subsampleText, type FewShotFlags, type Outcome } from "../few-shot-run.js";
import { mapping, parseSubsample, seeds, share, wholeFromZero } from "../flags.js";
import { resumable } from "../interruption.js";
import { addLearningFlags, addRegularisationFlag } from "../learning-flags.js";
import { addBackendFlags, addTargetFlags, addVectorFlags } from "../shared-flags.js";
import { Remarks, table, type Terminal } from "../terminal.js";
import { percent } from "../terminal-progress.js";

function summary(outcomes: readonly Outcome[]): Record<string, Estimate> {
  const names = Object.keys(outcomes[0]!.final);
  return Object.fromEntries(names.map((name) => [name, estimate(outcomes.map(({ final }) => final[name]!))]));
}

function print(
  flags: FewShotFlags,
  setup: FewShotSetup,
  outcomes: readonly Outcome[],
  notes: readonly string[],
  terminal: Terminal,
): void {
  const { zeroShot } = outcomes[0]!;
  const final = summary(outcomes);
  if (flags.json) {
    const document = {
      target: setup.dataset.name,
      subsample: subsampleText(flags.subsample),
      composition: setup.composition.id,
      zeroShot,
      final,
      runs: outcomes,
      notes,
    };
    terminal.out(JSON.stringify(document, null, 2));
    return;
  }
  const error = ({ error: value, count: runs }: Estimate): string => (runs > 1 ? `± ${(100 * value).toFixed(1)}` : "");
  terminal.out(
    table([
      [`${setup.dataset.name}, ${setup.dataset.test.length} test images`, "accuracy", "", "clamped"],
      ["zero-shot", percent(zeroShot), "", ""],
      ...Object.entries(final).map(([name, value]) => [
        `${setup.composition.id}: ${name}`,
        percent(value.mean),
        error(value),
        percent(Math.max(value.mean, zeroShot)),
      ]),
    ]),
  );
  terminal.out(`\n${outcomes.map(({ path }) => path).join("\n")}`);
}

async function fewShots(flags: FewShotFlags, terminal: Terminal): Promise<void> {
  const remarks = new Remarks(terminal, flags.json);
  const prepared = await setUp(await compositionRoot(flags.plugin), flags, remarks);
  const { setup } = prepared;
  const adapter = flags.adapter === undefined ? [] : [flags.adapter];
  const name = [setup.dataset.name, subsampleText(flags.subsample), setup.composition.id, ...adapter].join("-");
  const run = flags.run ?? join("runs", "few-shots", name);
  const outcomes: Outcome[] = [];
  for (const value of flags.seed) {
    const path = flags.seed.length === 1 ? run : join(run, `seed-${value}`);
    outcomes.push(await resumable(() => runOne(prepared, flags, value, path, remarks, terminal)));
  }
  print(flags, setup, outcomes, remarks.all, terminal);
}

/** `atlas few-shots`: learn a composition from k labelled images a class, or from a fraction of the data. */
export function addFewShots(program: Command, terminal: Terminal): void {
  const command = program.command("few-shots").description("learn coefficients from a few labelled images of the target");
  addVectorFlags(addTargetFlags(command), "default: all but the target's")
    .optionsGroup("What is learned:")
    .addOption(
      new Option("--subsample <k or fraction>", "images a class (4), or a share of the data (0.25)")
        .argParser(parseSubsample)
        .default({ shots: 16 }, "16"),
    )
    .option("--allow-short", "take all images of a class that has fewer than k", false)
    .option("--no-blockwise-coef", "one coefficient a task vector instead of one a task vector and block")
    .option("--objective <name>", "what is minimised", "cross-entropy")
    .option("--objective-options <mapping>", 'options of that objective, as YAML: "{ gamma: 1 }"', mapping("--objective-options"))
    .option("--adapter <name>", "a classifier to fit on the adapted features, such as linear")
    .option("--adapter-options <mapping>", 'options of that adapter, as YAML: "{ steps: 200 }"', mapping("--adapter-options"));
  addRegularisationFlag(addLearningFlags(command))
    .option("--label-smoothing <share>", "of the cross-entropy", share("--label-smoothing"), 0)
    .option(
      "--validation-images <n>",
      "looked at after each epoch, for the selected epoch that is reported apart",
      wholeFromZero("--validation-images"),
      500,
    )
    .optionsGroup("Runs:")
    .addOption(
      new Option("--seed <n,…>", "one or several; several give mean and standard error").argParser(seeds).default([1], "1"),
    )
    .option("--run <dir>", "folder for results (default: runs/few-shots/<what is learned>)")
    .option("--resume", "go on with the unfinished run in that folder", false);
  addBackendFlags(command).action((flags: FewShotFlags) => fewShots(flags, terminal));
}
