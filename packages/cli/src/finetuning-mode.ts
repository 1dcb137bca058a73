import type { FineTuning } from "@atlas-tv/checkpoints";
import type { CompileOptions } from "@atlas-tv/core";
import { Option, type Command } from "commander";

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

/** Which task vectors a mode takes, and how the encoder is computed. */
export function sidesOf(mode: FinetuningMode): { fineTuning: FineTuning; mode: NonNullable<CompileOptions["mode"]> } {
  return { fineTuning: mode === "linear" ? "linearised" : "standard", mode: mode === "standard" ? "standard" : "linearised" };
}
