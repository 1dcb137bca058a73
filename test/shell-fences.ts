/** A fence of shell commands. */
const FENCE = /^```sh[^\n]*\n(?<code>[\s\S]*?)^```/gm;

const ASSIGNMENT = /^(?<name>[A-Z_]+)=(?<value>.*)$/s;

type Variables = ReadonlyMap<string, readonly string[]>;

/** The words of one line: quotes are taken off, a comment is left out, and `;` is a word of its own. */
function wordsOf(line: string): string[] {
  const words = [...line.matchAll(/;|#.*$|(?:"[^"]*"|[^\s;"])+/g)].map(([word]) => word);
  return words.filter((word) => !word.startsWith("#")).map((word) => word.replaceAll('"', ""));
}

/** Every way to put the variables' values into the words. @throws for a variable that has none. */
function expanded(words: readonly string[], variables: Variables): string[][] {
  const name = words.map((word) => /\$([A-Z_]+)/.exec(word)?.[1]).find((found) => found !== undefined);
  if (name === undefined) return [[...words]];
  const values = variables.get(name);
  if (values === undefined) throw new Error(`$${name} has no value in: ${words.join(" ")}`);
  return values.flatMap((value) => expanded(words.map((word) => word.replaceAll(`$${name}`, value)), variables));
}

/**
 * The simple commands in a page's `sh` fences, as words. Of the shell's language this knows what the pages use: comments,
 * double quotes, `;`, assignments, and `for NAME in …; do … done`, which gives a command for every value.
 */
export function shellCommands(markdown: string): string[][] {
  const commands: string[][] = [];
  for (const { groups } of markdown.matchAll(FENCE)) {
    const variables = new Map<string, readonly string[]>();
    const lines = groups!["code"]!.replaceAll("\\\n", " ").split("\n");
    for (const line of lines) {
      for (let words of statements(wordsOf(line))) {
        if (words[0] === "do") words = words.slice(1);
        const assigned = words.length === 1 ? ASSIGNMENT.exec(words[0]!)?.groups : undefined;
        if (assigned !== undefined) variables.set(assigned["name"]!, assigned["value"]!.split(/\s+/));
        else if (words[0] === "for") variables.set(words[1]!, words.slice(3).flatMap((word) => (word.startsWith("$") ? variables.get(word.slice(1))! : [word])));
        else if (words.length > 0 && words[0] !== "done") commands.push(...expanded(words, variables));
      }
    }
  }
  return commands;
}

/** Words between semicolons. */
function statements(words: readonly string[]): string[][] {
  const all: string[][] = [[]];
  for (const word of words) {
    if (word === ";") all.push([]);
    else all.at(-1)!.push(word);
  }
  return all;
}
