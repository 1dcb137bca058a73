import { existsSync, statSync } from "node:fs";

/** What is at a path, below a file included, where there can be nothing; null where nothing is. */
export function pathKind(path: string): "file" | "folder" | "other" | null {
  if (!existsSync(path)) return null;
  const stats = statSync(path);
  return stats.isFile() ? "file" : stats.isDirectory() ? "folder" : "other";
}
