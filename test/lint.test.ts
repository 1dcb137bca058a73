import { join } from "node:path";
import { expect, it } from "vitest";
import { ROOT } from "../scripts/toolchain.mjs";
import { command } from "./packages/packed-packages.js";

it("the repository passes its own linter, and its tests type-check", async () => {
  await expect(command(process.execPath, [join(ROOT, "scripts", "run.mjs"), "lint"], ROOT)).resolves.toBeDefined();
});
