import { fileURLToPath } from "node:url";
import { Random, type ImageSource } from "@atlas-tv/core";
import { pretrainingData } from "./pretraining-data.js";
import { zooTasks } from "./tasks.js";

/**
 * Renders everything that the zoo trains on and prints what there is:
 * `node dist-build/render.js [seed] [cache folder]`.
 */
const resolveFrom = fileURLToPath(new URL("../pictures", import.meta.url));
const [seed = "0", cacheFolder = fileURLToPath(new URL("../../../.cache/zoo", import.meta.url))] = process.argv.slice(2);

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

/** Fewest and most pictures of a class. */
function balance({ labels, classNames }: ImageSource): string {
  const counts = new Int32Array(classNames.length);
  for (const label of labels) counts[label]!++;
  return `${labels.length} (${Math.min(...counts)}–${Math.max(...counts)} a class)`;
}

let start = performance.now();
const data = await pretrainingData(resolveFrom, cacheFolder, new Random(seed));
console.log(`pre-training: ${JSON.stringify(data.counts)}, longest caption ${data.longestCaption} tokens, ${seconds(start)}`);

const numbers = new Random(seed).fork("report");
const batches = 20;
start = performance.now();
let positives = 0;
for (let i = 0; i < batches; i++) positives += data.batch(numbers, 256).positives.reduce((sum, value) => sum + value, 0) / 256;
console.log(`batch of 256: ${((performance.now() - start) / batches).toFixed(1)} ms, ${(positives / batches).toFixed(1)} matching captions a picture`);

start = performance.now();
const { tasks, control } = await zooTasks(resolveFrom, cacheFolder, new Random(seed));
for (const { name, classNames, train, test } of [...tasks, control]) {
  console.log(`${name}: ${classNames.length} classes, training ${balance(train)}, test ${balance(test)}`);
}
console.log(`tasks: ${seconds(start)}`);
