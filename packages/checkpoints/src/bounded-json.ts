/**
 * JSON of unknown origin. `JSON.parse` takes whatever memory a document asks for – a few megabytes of brackets are enough
 * for gigabytes – so brackets and values are counted first.
 */

/** Headers, configurations and our own records are at most ten deep. */
const MAX_DEPTH = 100;

/** Objects and arrays. The header of a file of 100,000 tensors has 300,000. */
const MAX_CONTAINERS = 400_000;

/** The splits of all of ImageNet list 1.3 million indices. */
const MAX_VALUES = 8_000_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;

/** A document that is larger or deeper than any we read. */
export class JsonLimitError extends Error {
  override readonly name = "JsonLimitError";
}

/** Where the text ends that begins after `from`; the length where it does not. */
function closingQuote(bytes: Uint8Array, from: number): number {
  for (let at = bytes.indexOf(QUOTE, from); at >= 0; at = bytes.indexOf(QUOTE, at + 1)) {
    let escapes = 0;
    while (bytes[at - 1 - escapes] === BACKSLASH) escapes++;
    if (escapes % 2 === 0) return at;
  }
  return bytes.byteLength;
}

/** @throws JsonLimitError */
function requireBounded(bytes: Uint8Array): void {
  let depth = 0;
  let containers = 0;
  let values = 0;
  for (let at = 0; at < bytes.byteLength; at++) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      at = closingQuote(bytes, at + 1);
    } else if (byte === 0x5b || byte === 0x7b) {
      if (++depth > MAX_DEPTH) throw new JsonLimitError(`more than ${MAX_DEPTH} objects and lists inside each other`);
      if (++containers > MAX_CONTAINERS) throw new JsonLimitError(`more than ${MAX_CONTAINERS} objects and lists`);
    } else if (byte === 0x5d || byte === 0x7d) {
      depth--;
    } else if (byte === COMMA && ++values > MAX_VALUES) {
      throw new JsonLimitError(`more than ${MAX_VALUES} values`);
    }
  }
}

/**
 * Parses a JSON document in UTF-8.
 * @throws TypeError when it is not UTF-8, SyntaxError when it is not JSON, JsonLimitError when it is too large or too deep.
 */
export function parseBoundedJson(bytes: Uint8Array): { value: unknown; text: string } {
  requireBounded(bytes);
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  return { value: JSON.parse(text), text };
}
