/** What `JSON.parse` hides: the order of number-like names, and names that occur twice. */
export interface JsonNames {
  /** The names of the outermost object, in the order of the text. */
  readonly names: readonly string[];
  /** The first name that occurs twice in one object at any depth, or null. */
  readonly duplicate: string | null;
}

/** Index after the string that starts at `start`, which is at its opening quote. */
function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

/** Reads the names of a text that `JSON.parse` has accepted as an object. */
export function readJsonNames(text: string): JsonNames {
  const open: (Set<string> | null)[] = [];
  let outermost: Set<string> = new Set();
  let at = 0;
  while (at < text.length) {
    const character = text[at];
    if (character === '"') {
      const end = endOfString(text, at);
      const names = open.at(-1);
      let after = end;
      while (/\s/.test(text[after] ?? "")) after++;
      if (names && text[after] === ":") {
        const name = JSON.parse(text.slice(at, end)) as string;
        if (names.has(name)) return { names: [...outermost], duplicate: name };
        names.add(name);
      }
      at = end;
      continue;
    }
    if (character === "{") {
      const names = new Set<string>();
      if (open.length === 0) outermost = names;
      open.push(names);
    } else if (character === "[") {
      open.push(null);
    } else if (character === "}" || character === "]") {
      open.pop();
    }
    at++;
  }
  return { names: [...outermost], duplicate: null };
}
