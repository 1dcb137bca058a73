/** The scripts whose characters are rendered. */
export type CharacterSetName = "capital" | "small" | "digit" | "greek" | "cyrillic";

/** One character with the word that names it, as in "the greek letter alpha". */
export interface GlyphCharacter {
  readonly set: CharacterSetName;
  /** Spoken name: `a`, `seven`, `alpha`, `zhe`. */
  readonly name: string;
  /** What is drawn; Greek and Cyrillic letters have a capital and a small form. */
  readonly forms: readonly string[];
}

const DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

const GREEK = [
  "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu",
  "nu", "xi", "omicron", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
];
const GREEK_SMALL = "αβγδεζηθικλμνξοπρστυφχψω";

/** Letters whose shape no Latin letter has; names as in the romanised alphabet. */
const CYRILLIC: readonly (readonly [string, string])[] = [
  ["be", "Б"], ["ghe", "Г"], ["de", "Д"], ["zhe", "Ж"], ["ze", "З"], ["ii", "И"], ["el", "Л"], ["pe", "П"], ["ef", "Ф"], ["tse", "Ц"],
  ["che", "Ч"], ["sha", "Ш"], ["shcha", "Щ"], ["hard", "Ъ"], ["yeru", "Ы"], ["soft", "Ь"], ["ee", "Э"], ["yu", "Ю"], ["ya", "Я"],
];

const latin = [..."abcdefghijklmnopqrstuvwxyz"];

/** All characters by set, in label order: 26 capitals, 26 small letters, 10 digits, 24 Greek, 19 Cyrillic letters. */
export const GLYPH_CHARACTERS: Readonly<Record<CharacterSetName, readonly GlyphCharacter[]>> = {
  capital: latin.map((letter) => ({ set: "capital", name: letter, forms: [letter.toUpperCase()] })),
  small: latin.map((letter) => ({ set: "small", name: letter, forms: [letter] })),
  digit: DIGITS.map((name, value) => ({ set: "digit", name, forms: [String(value)] })),
  greek: GREEK.map((name, index) => ({ set: "greek", name, forms: [GREEK_SMALL[index]!, GREEK_SMALL[index]!.toUpperCase()] })),
  cyrillic: CYRILLIC.map(([name, capital]) => ({ set: "cyrillic", name, forms: [capital, capital.toLowerCase()] })),
};

/** The font subset (as @fontsource names it) that holds a set. */
export const SUBSET_OF: Readonly<Record<CharacterSetName, string>> = {
  capital: "latin",
  small: "latin",
  digit: "latin",
  greek: "greek",
  cyrillic: "cyrillic",
};
