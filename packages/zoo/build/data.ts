import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Random } from "@atlas-tv/core";
import { fashionMnist, writePackedDataset } from "@atlas-tv/datasets";
import { PROMPTS, SEED } from "./settings.js";
import { zooTasks } from "./tasks.js";

/**
 * Writes the zoo's data sets as files that `--target` and `--control` find by name: the rendered tasks, the control,
 * and Fashion-MNIST. MNIST comes from its own package.
 */
const root = fileURLToPath(new URL("../../../", import.meta.url));
const pictures = join(root, "packages/zoo/pictures");
const cache = join(root, ".cache/zoo");

const { tasks, control } = await zooTasks(pictures, cache, new Random(SEED));
const fashion = await fashionMnist({ ...PROMPTS.FashionMNIST, resolveFrom: [pictures] });
for (const dataset of [...tasks, control, fashion]) {
  const { path, bytes } = await writePackedDataset(join(cache, "data"), dataset);
  process.stdout.write(`${path}: ${dataset.classNames.length} classes, ${dataset.train.length} + ${dataset.test.length} images, ${bytes} bytes\n`);
}
