import { decodeHTML } from "entities";

/** What Python's `html.unescape` takes for a character reference. */
const REFERENCE = /&(?:#(\d+);?|#[xX]([\da-fA-F]+);?|[^\t\n\f <&#;]{1,32};?)/g;

/** Python strips U+001C to U+001F beside Unicode's white space. */
const EDGE = "[\\p{White_Space}\\u001c-\\u001f]+";
const EDGES = new RegExp(`^${EDGE}|${EDGE}$`, "gu");

/** Unlike `\s` it has U+0085 and lacks U+FEFF. */
const SPACES = /\p{White_Space}+/gu;

const REPLACEMENT = "\ufffd";
const MAX_CODE_POINT = 0x10ffff;

const between = (code: number, first: number, last: number): boolean => code >= first && code <= last;

/** Code points that stand for no character: they vanish. */
function isInvalid(code: number): boolean {
  const control = between(code, 0x01, 0x08) || code === 0x0b || between(code, 0x0e, 0x1f) || code === 0x7f;
  return control || between(code, 0xfdd0, 0xfdef) || (code & 0xfffe) === 0xfffe;
}

/** The character of a numeric reference, by the rules of HTML 5 as Python applies them. */
function characterOf(code: number): string {
  // These are read as Windows-1252.
  if (between(code, 0x80, 0x9f)) return decodeHTML(`&#${code};`);
  if (code === 0 || between(code, 0xd800, 0xdfff) || code > MAX_CODE_POINT) return REPLACEMENT;
  return isInvalid(code) ? "" : String.fromCodePoint(code);
}

function unescapeHtml(text: string): string {
  return text.replace(REFERENCE, (reference: string, decimal?: string, hexadecimal?: string) => {
    if (decimal !== undefined) return characterOf(Number.parseInt(decimal, 10));
    if (hexadecimal !== undefined) return characterOf(Number.parseInt(hexadecimal, 16));
    return decodeHTML(reference);
  });
}

const strip = (text: string): string => text.replace(EDGES, "");

/**
 * A text as CLIP's tokenizer reads it: HTML character references resolved twice, white space collapsed and stripped,
 * lower case. open_clip also repairs broken Unicode with ftfy before; texts that ftfy would change keep their form here.
 */
export function cleanText(text: string): string {
  return strip(strip(unescapeHtml(unescapeHtml(text))).replace(SPACES, " ")).toLowerCase();
}
