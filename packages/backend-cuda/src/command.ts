import { spawn } from "node:child_process";
import { AbortedError } from "@atlas-tv/core";

export interface CommandOptions {
  /** Told every line that the program prints, on either output. */
  readonly onLine?: (line: string) => void;
  readonly signal?: AbortSignal;
  readonly env?: NodeJS.ProcessEnv;
}

export interface CommandResult {
  /** Exit status; null when the program does not exist or was killed. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, without a shell. @throws AbortedError when the signal stops it. */
export function runCommand(program: string, args: readonly string[], { onLine, signal, env }: CommandOptions = {}): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env }, ...(signal && { signal }) });
    const output = { stdout: "", stderr: "" };
    for (const name of ["stdout", "stderr"] as const) {
      let line = "";
      child[name].setEncoding("utf8").on("data", (text: string) => {
        output[name] += text;
        const lines = (line + text).split(/[\r\n]+/);
        line = lines.pop()!;
        for (const whole of lines) if (whole.trim() !== "") onLine?.(whole.trimEnd());
      });
    }
    child.once("error", (error: NodeJS.ErrnoException) => {
      if (signal?.aborted === true) reject(new AbortedError("stopped"));
      else if (error.code === "ENOENT" || error.code === "EACCES") resolve({ status: null, ...output });
      else reject(error);
    });
    child.once("close", (status) => {
      if (signal?.aborted === true) reject(new AbortedError("stopped"));
      else resolve({ status, ...output });
    });
  });
}
