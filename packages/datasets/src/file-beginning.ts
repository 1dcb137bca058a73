/** Bytes of a file quoted in a message. */
const QUOTED_BYTES = 16;

/** How a file begins, for people: as text where it is text, as hexadecimal bytes otherwise. */
export function fileBeginning(bytes: Uint8Array): string {
  if (bytes.length === 0) return "an empty file";
  const head = bytes.subarray(0, QUOTED_BYTES);
  const printable = head.every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x09 || byte === 0x0a || byte === 0x0d);
  const hex = Array.from(head, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return `a file that starts with ${printable ? JSON.stringify(String.fromCharCode(...head)) : hex}`;
}
