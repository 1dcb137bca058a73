import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ZOO_MODEL, zooCheckpoints } from "@atlas-tv/zoo";

const folder = join(zooCheckpoints(), ZOO_MODEL);
for (const file of ["zeroshot.safetensors", "open_clip_config.json", "MNISTVal/task_vector.safetensors"]) assert.ok(existsSync(join(folder, file)), file);
