import { plugin as cpuPlugin } from "@atlas-tv/backend-cpu";
import { createContainer, crossEntropyPlugin, entropyPlugin, linearProbePlugin, type Backend } from "@atlas-tv/core";
import type { DependencyContainer } from "tsyringe";
import { addPlugin, findPlugin, registerNamed } from "./plugin-finder.js";

/** The composition root: what is built in, and what `--plugin` names. */
export async function compositionRoot(plugins: readonly string[] = []): Promise<DependencyContainer> {
  const container = createContainer();
  for (const plugin of [cpuPlugin, crossEntropyPlugin, entropyPlugin, linearProbePlugin]) addPlugin(container, plugin);
  await registerNamed(container, plugins);
  return container;
}

/** The backend of that name, active. */
export async function activeBackend(container: DependencyContainer, id: string): Promise<Backend> {
  const backend = await findPlugin(container, "backend", id);
  await backend.activate();
  return backend;
}
