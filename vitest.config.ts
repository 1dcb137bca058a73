import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const packages = fileURLToPath(new URL("packages/", import.meta.url));

/** Tests run on the sources; the built packages are tested from their tarballs. */
const alias = readdirSync(packages).map((name) => {
  const node = `${packages}${name}/src/node.ts`;
  return { find: new RegExp(`^@atlas-tv/${name}$`), replacement: existsSync(node) ? node : `${packages}${name}/src/index.ts` };
});

export default defineConfig({
  resolve: { alias },
  test: {
    include: ["packages/*/test/**/*.test.ts", "examples/*/test/**/*.test.ts", "test/**/*.test.ts"],
    // A machine that is busy otherwise takes several times as long as one that is not.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    maxWorkers: 2,
    // Some tests run onnxruntime without our packages, which set this themselves.
    env: { ORT_DISABLE_TELEMETRY: "1" },
  },
});
