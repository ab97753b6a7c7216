/** Neighbouring cells of one line in one style. */
export interface Run {
  /** Its first cell, from 0. */
  column: number;
  text: string;
  /** Of the terminal's palette, 0 to 15; undefined: the usual one. */
  colour: number | undefined;
  bold: boolean;
}

/** What a terminal shows: the runs of each line, from the top. Cells that nothing was written to are in none. */
export type Screen = readonly (readonly Run[])[];

// A cell is as large as that of the usual fonts at this size, so that textLength has next to nothing to stretch.
const CELL = { width: 8.4, height: 18 };
const FONT_SIZE = 14;
const MARGIN = 16;
/** Where letters stand in a cell, from its top. */
const BASELINE = 13.5;
const BACKGROUND = "#16181d";
const FOREGROUND = "#d4d7dd";
const PALETTE = [
  ...["#3b4048", "#ff6b6b", "#7ddc7d", "#f0c862", "#6cb2ff", "#d68fff", "#5fd7d7", "#d4d7dd"],
  ...["#7d8590", "#ff8f8f", "#a5eba5", "#ffdc85", "#94c7ff", "#e4b5ff", "#8ae8e8", "#ffffff"],
];

const escapes: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text: string): string => text.replaceAll(/[&<>"]/g, (character) => escapes[character] ?? "");

/** 8.4 times 3 is 25.200000000000003. */
const short = (length: number): string => String(Number(length.toFixed(1)));

function runElement({ column, text, colour, bold }: Run, row: number): string {
  const cells = [...text].length;
  const attributes = {
    x: short(MARGIN + column * CELL.width),
    y: short(MARGIN + row * CELL.height + BASELINE),
    // The font of whoever looks at it may have other widths: columns stay below each other all the same.
    textLength: short(cells * CELL.width),
    ...(colour !== undefined && { fill: PALETTE[colour] }),
    ...(bold && { "font-weight": "bold" }),
  };
  const list = Object.entries(attributes).map(([name, value]) => ` ${name}="${value}"`);
  return `<text${list.join("")}>${escaped(text)}</text>`;
}

/** A picture of a screen of so many columns, as high as its lines; `title` is read to those who can't see it. */
export function toSvg(title: string, screen: Screen, columns: number): string {
  const width = short(2 * MARGIN + columns * CELL.width);
  const height = short(2 * MARGIN + screen.length * CELL.height);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="100%" height="100%" rx="8" fill="${BACKGROUND}"/>`,
    `<g font-family="ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace" font-size="${FONT_SIZE}" fill="${FOREGROUND}" xml:space="preserve">`,
    ...screen.flatMap((runs, row) => runs.map((run) => runElement(run, row))),
    "</g>",
    "</svg>\n",
  ].join("\n");
}
