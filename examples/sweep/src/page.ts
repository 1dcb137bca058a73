import { InputError } from "@atlas-tv/core";

const mark = (name: string): [string, string] => [`<!-- sweep: ${name} -->`, `<!-- end of ${name} -->`];

/**
 * A page whose measured parts are written anew; what people wrote around them stays.
 * @param parts Markdown by the name in the marks `<!-- sweep: NAME -->` and `<!-- end of NAME -->`.
 * @throws InputError when a part has no place on the page.
 */
export function withParts(page: string, parts: Readonly<Record<string, string>>, where: string): string {
  return Object.entries(parts).reduce((text, [name, content]) => {
    const [begin, end] = mark(name);
    const [from, to] = [text.indexOf(begin), text.indexOf(end)];
    if (from < 0 || to < from) throw new InputError({ where, got: `no place for "${name}"`, expected: `a line ${begin} and below it a line ${end}` });
    return `${text.slice(0, from + begin.length)}\n${content}\n${text.slice(to)}`;
  }, page);
}
