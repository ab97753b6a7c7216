import { wrap } from "../wrap.ts";
import { type Block, parseSpans } from "./markdown.ts";

const WIDTH = 80;
/** A first column that is wider leaves the second too little room. */
const WIDEST_TERM = 24;

/** A text for a terminal of 80 columns; `bold` for its headings. Code is never broken: it is to be copied. */
export function toText(blocks: readonly Block[], { bold }: { bold: boolean }): string {
  const heading = (text: string): string => (bold ? `\u001b[1m${text}\u001b[0m` : text);
  return `${blocks.map((block) => lines(block, heading).join("\n")).join("\n\n")}\n`;
}

const plain = (text: string): string =>
  parseSpans(text)
    .map((span) => span.text)
    .join("");

function lines(block: Block, heading: (text: string) => string): string[] {
  switch (block.kind) {
    case "heading":
      return [heading(plain(block.text))];
    case "paragraph":
      return wrap(plain(block.text), WIDTH);
    case "list":
      return block.items.flatMap((item) => hang("- ", item, 2));
    case "code":
      return block.lines.map((line) => (line === "" ? "" : `    ${line}`));
    case "table":
      return table(block.rows);
  }
}

/** `head`, and after it text whose lines all begin in the same column. */
const hang = (head: string, text: string, indent: number): string[] =>
  wrap(plain(text), WIDTH - indent).map((line, i) => `${i === 0 ? head : " ".repeat(indent)}${line}`);

function table(rows: readonly [string, string][]): string[] {
  const width = Math.max(...rows.map(([term]) => plain(term).length));
  if (width > WIDEST_TERM) return rows.flatMap(([term, about]) => [`  ${plain(term)}`, ...hang("      ", about, 6)]);
  return rows.flatMap(([term, about]) => hang(`  ${plain(term).padEnd(width)}  `, about, width + 4));
}
