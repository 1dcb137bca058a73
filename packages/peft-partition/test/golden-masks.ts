import { fixtureJson, fixtureTensors, integers } from "../../core/test/fixture-files.js";
import type { PartitionMasks } from "../src/index.js";

const stored = fixtureTensors("composition/composition.safetensors");
const { K: parts } = fixtureJson<{ K: number }>("composition/expected.json");

async function masksBy(prefix: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const names = [...stored.keys()].filter((name) => name.startsWith(prefix));
  return new Map(await Promise.all(names.map(async (name) => [name.slice(prefix.length), Uint8Array.from(await integers(stored, name))] as const)));
}

const own = await masksBy("mask_all.model.");
const shared = await masksBy("mask_reference.");

/** The fixture's mask of each block. */
export const GOLDEN_MASKS: PartitionMasks = { parts, of: ({ name }) => own.get(name)! };

/** The fixture's masks as the released code drew them: shared by shape, none for blocks that are not matrices. */
export const RELEASED_MASKS: PartitionMasks = { parts, of: ({ shape }) => shared.get(shape.join("x")) ?? null };
