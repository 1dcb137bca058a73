import { describe, expect, test } from "vitest";
import { cacheShare } from "../src/joint-task.js";

/** Side and channels of the images of a full-size model and of the zoo's. */
const FULL = 224 * 224 * 3;
const SMALL = 32 * 32 * 3;

describe("what data sets that take part together keep of their pixels", () => {
  test.each([2, 8, 22])("is half a gigabyte at most, of %d", (tasks) => {
    expect(2 * tasks * cacheShare(tasks)).toBeLessThanOrEqual(2 ** 29);
    expect(cacheShare(tasks)).toBeGreaterThan(50 * FULL);
  });

  test("is all test images of the zoo's eight tasks", () => {
    expect(cacheShare(8)).toBeGreaterThan(10_000 * SMALL);
  });
});
