/** A part of a text, in the little of Markdown that the topics and the README use. Inline marks are still in the strings. */
export type Block =
  | { kind: "heading"; level: number; text: string }
  | { kind: "paragraph"; text: string }
  | { kind: "list"; items: string[] }
  | { kind: "code"; lines: string[] }
  | { kind: "table"; rows: [term: string, about: string][] };

/** Parses headings, paragraphs, lists of one level, fenced code and tables of two columns, whose headings are left out. */
export function parseMarkdown(text: string): Block[] {
  const blocks: Block[] = [];
  const lines = text.split("\n");
  for (let i = 0; i < lines.length; ) {
    const [block, taken] = parseBlock(lines.slice(i));
    if (block !== undefined) blocks.push(block);
    i += taken;
  }
  return blocks;
}

/** The block at the beginning of lines, and how many of them it is; undefined for a line between blocks. */
function parseBlock(lines: readonly string[]): [block: Block | undefined, taken: number] {
  const [first = ""] = lines;
  const heading = /^(#+) (.*)/.exec(first);
  if (heading !== null) return [{ kind: "heading", level: heading[1]?.length ?? 0, text: heading[2] ?? "" }, 1];
  if (first.startsWith("```")) {
    const end = lines.indexOf("```", 1);
    if (end < 0) throw new Error(`no end of the code that begins with ${lines[1]}`);
    return [{ kind: "code", lines: lines.slice(1, end) }, end + 1];
  }
  if (first === "" || first.startsWith("<!--")) return [undefined, 1];
  const end = lines.findIndex((line) => line === "" || /^(#+ |```)/.test(line));
  const own = end < 0 ? lines : lines.slice(0, end);
  if (first.startsWith("|")) return [{ kind: "table", rows: own.slice(2).map(parseRow) }, own.length];
  if (!first.startsWith("- ")) return [{ kind: "paragraph", text: own.join(" ") }, own.length];
  const items = own.join("\n").split(/^- /m).slice(1);
  return [{ kind: "list", items: items.map((item) => item.trim().replaceAll(/\s*\n\s*/g, " ")) }, own.length];
}

function parseRow(line: string): [string, string] {
  const cells = line.split("|").map((cell) => cell.trim());
  if (cells.length !== 4) throw new Error(`not a row of two cells: ${line}`);
  return [cells[1] ?? "", cells[2] ?? ""];
}

/** A stretch of text of one kind. */
export interface Span {
  kind: "text" | "code" | "bold";
  text: string;
}

/** Takes a string of a block apart: `code`, **bold**, and the texts of links. */
export function parseSpans(text: string): Span[] {
  const words = text.replaceAll(/\[([^\]]+)\]\([^)]+\)/g, "$1").split(/(`[^`]+`|\*\*[^*]+\*\*)/);
  return words
    .filter((part) => part !== "")
    .map((part) => {
      if (part.startsWith("`") && part.length > 2) return { kind: "code", text: part.slice(1, -1) };
      if (part.startsWith("**") && part.length > 4) return { kind: "bold", text: part.slice(2, -2) };
      return { kind: "text", text: part };
    });
}
