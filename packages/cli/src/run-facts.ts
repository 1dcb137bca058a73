import { createRequire } from "node:module";
import type { Backend } from "@atlas-tv/core";
import type { RunRecord } from "@atlas-tv/checkpoints";

const require = createRequire(import.meta.url);

/** Version of this package, for `--version` and run records. */
export function ownVersion(): string {
  return (require("../package.json") as { version: string }).version;
}

/** Who computed: backend, device and library versions, as `run.json` records them. */
export async function backendFacts(backend: Backend): Promise<Pick<RunRecord, "backend" | "versions">> {
  const { device, versions } = await backend.probe();
  return { backend: { id: backend.id, device }, versions: { ...versions, atlas: ownVersion(), node: process.versions.node } };
}

/** The most memory this process has held, in bytes. */
export function peakMemoryBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
