import { existsSync } from "node:fs";
import { join } from "node:path";
import { InputError } from "@atlas-tv/core";
import { pathKind } from "./path-kind.js";

/** @throws InputError where a folder is given for one of a run's files; it names the file where the folder has it. */
export function refuseRunFolder(flag: string, path: string, file: string): void {
  if (pathKind(path) !== "folder") return;
  const there = join(path, file);
  throw new InputError({
    where: `${flag} ${path}`,
    got: existsSync(there) ? "a folder" : `a folder without ${file}`,
    expected: `the path of a ${file}`,
    next: existsSync(there) ? `${flag} ${there}` : "give the file of that name in the folder of a finished run",
  });
}
