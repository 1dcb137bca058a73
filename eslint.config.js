import js from "@eslint/js";
import tseslint from "typescript-eslint";
import packageArrows from "./eslint/package-arrows.js";

/** One noun a file: a longer one holds more. */
const MAX_LINES = 400;

/** What plain Node scripts use of Node's globals. */
const NODE_GLOBALS = ["Buffer", "URL", "clearInterval", "console", "performance", "process", "setInterval", "setTimeout"];

export default tseslint.config(
  { ignores: ["**/dist/", "**/dist-build/", "**/node_modules/", "**/generated/", ".cache/", "fixtures/", "**/runs/", "**/pictures/"] },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommended],
    rules: {
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "separate-type-imports", disallowTypeAnnotations: false }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_", caughtErrorsIgnorePattern: "^_" }],
      eqeqeq: ["error", "always", { null: "ignore" }],
    },
  },
  {
    files: ["packages/*/src/**/*.ts", "examples/*/src/**/*.ts"],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/await-thenable": "error",
      "@typescript-eslint/no-floating-promises": "error",
      "@typescript-eslint/no-misused-promises": "error",
    },
  },
  {
    files: ["packages/*/src/**/*.ts"],
    plugins: { atlas: { rules: { "package-arrows": packageArrows } } },
    rules: {
      "atlas/package-arrows": "error",
      "max-lines": ["error", { max: MAX_LINES }],
    },
  },
  {
    files: ["**/*.mjs", "**/*.js"],
    languageOptions: { globals: Object.fromEntries(NODE_GLOBALS.map((name) => [name, "readonly"])) },
    rules: { "no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }] },
  },
);
