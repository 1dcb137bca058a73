import { mkdir, readFile, readlink, rm, rmdir, symlink } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname } from "node:path";
import { InputError } from "@atlas-tv/core";
import { z } from "zod";

/** Who is at work: a process of a machine, and when it was started where the system tells, as numbers of processes come again. */
const ownerSchema = z.strictObject({ host: z.string(), pid: z.int(), started: z.string().nullable() });

type Owner = z.infer<typeof ownerSchema>;

const isCode = (error: unknown, code: string): boolean => error instanceof Error && "code" in error && error.code === code;

/** When a process was started, in ticks since the machine was (field 22 of Linux's `/proc/<pid>/stat`); null elsewhere. */
async function startOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? null;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !isCode(error, "ESRCH");
  }
}

async function ownerOf(path: string): Promise<Owner | null> {
  try {
    return ownerSchema.parse(JSON.parse(await readlink(path)));
  } catch {
    return null;
  }
}

/** Whether another process of this machine is at work; those of other machines cannot be asked. */
async function isAtWork({ host, pid, started }: Owner): Promise<boolean> {
  if (host !== hostname() || pid === process.pid || !isAlive(pid)) return false;
  return started === (await startOf(pid));
}

/**
 * A link that is there while a process works in a folder, so that no second one does; it leads nowhere, and its text says who.
 * Unlike a file it is there with its text or not at all, and takes no room on a full disk. One that a killed process left
 * counts for nothing.
 */
export class RunClaim {
  private constructor(
    readonly path: string,
    private readonly madeFolder: boolean,
  ) {}

  /** @throws InputError when another process is at work in the folder. @param flag that names the folder. */
  static async take(path: string, flag: string): Promise<RunClaim> {
    const made = await mkdir(dirname(path), { recursive: true }).catch(() => undefined);
    const claim = new RunClaim(path, made !== undefined);
    const own: Owner = { host: hostname(), pid: process.pid, started: await startOf(process.pid) };
    for (;;) {
      try {
        await symlink(JSON.stringify(own), path);
        return claim;
      } catch (error) {
        // Where nothing can be written, the run says so better; where there are no links, runs are not kept apart.
        if (!isCode(error, "EEXIST")) return claim;
      }
      const owner = await ownerOf(path);
      if (owner !== null && (await isAtWork(owner))) {
        throw new InputError({
          where: dirname(path),
          got: `a folder that process ${owner.pid} is at work in`,
          expected: "a folder of its own for each of the runs that go on at the same time",
          next: `give another ${flag}, or wait for that run to end; if there is none, remove ${path}`,
        });
      }
      await rm(path, { force: true });
    }
  }

  /** Takes the link away, and a folder that was made for it in which nothing was left. */
  async release(): Promise<void> {
    await rm(this.path, { force: true }).catch(() => undefined);
    if (this.madeFolder) await rmdir(dirname(this.path)).catch(() => undefined);
  }
}
