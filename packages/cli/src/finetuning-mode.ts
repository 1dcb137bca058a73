import type { FineTuning } from "@atlas-tv/checkpoints";
import type { CompileOptions } from "@atlas-tv/core";
import { Option, type Command } from "commander";
import type { BudgetFlags } from "./budget.js";

/**
 * `standard`: task vectors in the model itself. `linear`: task vectors that were fine-tuned in the tangent space, in
 * the linearised model. `posthoc`: standard task vectors in the linearised model (Ortiz-Jimenez et al. 2023).
 */
export type FinetuningMode = "standard" | "linear" | "posthoc";

export interface FinetuningModeFlags {
  readonly finetuningMode: FinetuningMode;
}

export function addFinetuningModeFlag(command: Command, modes: readonly FinetuningMode[] = ["standard", "linear", "posthoc"]): Command {
  return command.addOption(
    new Option("--finetuning-mode <mode>", "the model itself, or its linearisation at the pre-trained weights")
      .choices(modes)
      .default("standard"),
  );
}

/** What a run's folder is called by beside what it learns, where it is not the plain case. */
export function runSuffix({ finetuningMode, budget, select }: FinetuningModeFlags & BudgetFlags): string[] {
  return [...(finetuningMode === "standard" ? [] : [finetuningMode]), ...(budget === undefined ? [] : [`budget-${budget}-${select}`])];
}

/** Which task vectors a mode takes, and how the encoder is computed. */
export function sidesOf(mode: FinetuningMode): { fineTuning: FineTuning; mode: NonNullable<CompileOptions["mode"]> } {
  return { fineTuning: mode === "linear" ? "linearised" : "standard", mode: mode === "standard" ? "standard" : "linearised" };
}
