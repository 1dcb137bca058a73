import type { ByteSource } from "./byte-source.js";

async function sha256Bytes(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** SHA-256 as 64 hexadecimal digits, with the hash function of the web platform. */
export async function sha256Text(text: string): Promise<string> {
  return sha256Bytes(new TextEncoder().encode(text));
}

/** SHA-256 of all bytes of a source, read at once: the web platform hashes no streams. */
export async function sha256Source(source: ByteSource): Promise<string> {
  return sha256Bytes(new Uint8Array(await source.read(0, source.size)));
}

/** A JSON value with the names of every object in order, so that equal values have equal texts. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).map(([name, field]): [string, unknown] => [name, inOrder(field)]);
  return Object.fromEntries(fields.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Hash of a JSON value, the same whatever the order of its fields: tells whether options are those of an earlier start. */
export async function hashJson(value: unknown): Promise<string> {
  return sha256Text(JSON.stringify(inOrder(value)));
}
