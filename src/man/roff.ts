import { type Block, parseSpans } from "../help/markdown.ts";

// man(7) as groff and mandoc both have it: nothing of tables, colours or extensions. A minus sign is one that can be copied.
const special: Readonly<Record<string, string>> = {
  "\\": "\\e",
  "-": "\\-",
  "'": "\\(aq",
  '"': "\\(dq",
  "`": "\\(ga",
  "^": "\\(ha",
  "~": "\\(ti",
  "…": "...",
};

/** Text as roff shows it unchanged, also at the beginning of a line. */
export function escapeRoff(text: string): string {
  const escaped = text.replaceAll(/[\\\-'"`^~]|[^\0-\x7f]/gu, (character) => {
    const code = character.codePointAt(0)?.toString(16).toUpperCase().padStart(4, "0");
    return special[character] ?? `\\[u${code}]`;
  });
  return escaped.startsWith(".") ? `\\&${escaped}` : escaped;
}

export const bold = (text: string): string => `\\fB${escapeRoff(text)}\\fR`;
export const italic = (text: string): string => `\\fI${escapeRoff(text)}\\fR`;

/** A string of a block, with its code in bold, as programs and options are in man pages. */
function inline(text: string): string {
  const words = parseSpans(text).map(({ kind, text: own }) => (kind === "text" ? escapeRoff(own) : bold(own)));
  return words.join("");
}

/** A request with one argument, which may have blanks. */
export const request = (name: string, argument: string): string => `.${name} "${argument}"`;

export const section = (title: string): string => request("SH", escapeRoff(title.toUpperCase()));

/** A term, and below it what there is to say about it; both in roff already. */
export const entry = (term: string, about: string): string[] => [".TP", term, about];

/** Blocks of a text as lines of roff. */
export const toRoff = (blocks: readonly Block[]): string[] => blocks.flatMap(blockLines);

function blockLines(block: Block): string[] {
  switch (block.kind) {
    case "heading":
      return [section(block.text)];
    case "paragraph":
      return [".PP", inline(block.text)];
    case "list":
      return block.items.flatMap((item) => [".IP \\(bu 2", inline(item)]);
    case "code":
      return [".PP", ".RS 4", ".nf", ...block.lines.map((line) => escapeRoff(line) || "\\&"), ".fi", ".RE"];
    case "table":
      return block.rows.flatMap(([term, about]) => entry(inline(term), inline(about)));
  }
}
