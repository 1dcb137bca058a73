import { mkdir, open, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** Milliseconds between two looks at a lock that is taken. */
const LOOK_AGAIN = 20;

/** A lock that is so many milliseconds old was left by a process that was killed: a holder has it for a few. */
const ABANDONED = 10_000;

/** Whether the lock was taken; false while somebody else has it. */
async function take(lock: string): Promise<boolean> {
  try {
    await (await open(lock, "wx")).close();
    return true;
  } catch (error) {
    // Where nothing can be written, the work says so better.
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) return true;
  }
  const taken = await stat(lock).catch(() => null);
  if (taken !== null && Date.now() - taken.mtimeMs > ABANDONED) await rm(lock, { force: true });
  return false;
}

/** Short work on a file that other processes may work on as well: one after another, by a file `.<name>.lock` beside it. */
export async function oneAtATime<T>(path: string, work: () => Promise<T>): Promise<T> {
  const lock = join(dirname(path), `.${basename(path)}.lock`);
  await mkdir(dirname(path), { recursive: true }).catch(() => undefined);
  while (!(await take(lock))) await sleep(LOOK_AGAIN);
  try {
    return await work();
  } finally {
    await rm(lock, { force: true }).catch(() => undefined);
  }
}
