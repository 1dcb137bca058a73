import { writeFileSync } from "node:fs";

/** Vitest reporter: writes what passed, failed and was skipped, with the reasons, to the file ATLAS_TEST_COUNTS. */
export default class CountReporter {
  onTestRunEnd(modules, unhandledErrors) {
    let passed = 0;
    let failed = unhandledErrors.length;
    const skipped = [];
    for (const module of modules) {
      // A file that does not load, or a hook that fails, leaves no failed test behind.
      failed += module.errors().length;
      for (const suite of module.children.allSuites()) failed += suite.errors().length;
      for (const test of module.children.allTests()) {
        const { state, note } = test.result();
        if (state === "passed") passed++;
        else if (state === "failed") failed++;
        else skipped.push({ file: module.relativeModuleId, name: test.fullName, reason: note ?? "no reason was given" });
      }
    }
    writeFileSync(process.env.ATLAS_TEST_COUNTS, JSON.stringify({ passed, failed, skipped }));
  }
}
