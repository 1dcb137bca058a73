import assert from "node:assert/strict";
import { Random } from "@atlas-tv/core";
import { classPrompts, decodePng, fewShots, splitTrainValidation } from "@atlas-tv/datasets";

const { train, validation } = splitTrainValidation(100);
assert.equal(train.length + validation.length, 100);
const labels = Int32Array.from({ length: 100 }, (_, index) => index % 2);
assert.equal(fewShots(labels, train, 4, new Random(1)).length, 8);
assert.throws(() => decodePng(new Uint8Array(3), "empty.png"), { name: "InputError" });
assert.equal((await classPrompts("SUN397")).classNames.length, 397);
