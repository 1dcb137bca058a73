import { mkdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { say } from "./toolchain.mjs";

const HEARTBEAT_MS = 2000;

/** A holder that was silent for this long is gone, whatever its process number is used for today. */
const SILENCE_MS = 30_000;

const POLL_MS = 200;

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Whether the lock file was left behind by a process that is gone; a file that vanished meanwhile was not. */
function abandoned(path) {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    const silent = Date.now() - statSync(path).mtimeMs;
    return silent > SILENCE_MS || (pid > 0 && !alive(pid));
  } catch {
    return false;
  }
}

function take(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    return false;
  }
}

/** Runs `work` while no other process of this checkout does. */
export async function withLock(path, work) {
  mkdirSync(dirname(path), { recursive: true });
  let waiting = false;
  while (!take(path)) {
    if (abandoned(path)) {
      const aside = `${path}.${process.pid}`;
      try {
        renameSync(path, aside);
        rmSync(aside, { force: true });
      } catch {
        // Another waiter was faster.
      }
      continue;
    }
    if (!waiting) say("Waiting for another command that is setting up …");
    waiting = true;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  const heartbeat = setInterval(() => {
    try {
      const now = new Date();
      utimesSync(path, now, now);
    } catch {
      // A waiter that took us for gone has removed the file; the work itself may be done twice.
    }
  }, HEARTBEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    rmSync(path, { force: true });
  }
}
