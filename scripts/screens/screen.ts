import xterm, { type IBufferCell } from "@xterm/headless";
import type { Run, Screen } from "./svg.ts";

/** The size of the terminals whose pictures are taken. */
export const SIZE = { columns: 80, rows: 30 };

/**
 * What a terminal shows in the end of a program's output, and all that it has scrolled back. Throws where a line did not fit, and for
 * a style that the pictures have not.
 */
export async function screenOf(output: string): Promise<Screen> {
  const terminal = new xterm.Terminal({
    cols: SIZE.columns,
    rows: SIZE.rows,
    scrollback: 1000,
    allowProposedApi: true, // reading cells is one
  });
  await new Promise<void>((resolve) => terminal.write(output, resolve));
  const { active } = terminal.buffer;
  const lines: Run[][] = [];
  for (let row = 0; row < active.length; row += 1) {
    const line = active.getLine(row);
    if (line?.isWrapped) throw new Error(`more than ${SIZE.columns} columns: …${line.translateToString(true)}`);
    const cells = Array.from({ length: SIZE.columns }, (_, column) => line?.getCell(column));
    lines.push(runsOf(cells.filter((cell) => cell !== undefined)));
  }
  terminal.dispose();
  return lines.slice(0, lines.findLastIndex((runs) => runs.length > 0) + 1);
}

function styleOf(cell: IBufferCell): Pick<Run, "colour" | "bold"> {
  const style = { colour: cell.isFgDefault() ? undefined : cell.getFgColor(), bold: cell.isBold() !== 0 };
  const isPlain = cell.isBgDefault() && !cell.isInverse() && !cell.isUnderline() && !cell.isDim() && !cell.isItalic();
  const isKnown = style.colour === undefined || (cell.isFgPalette() && style.colour < 16);
  if (!isPlain || !isKnown) throw new Error(`the pictures have no such style as that of "${cell.getChars()}"`);
  return style;
}

/** A blank takes the style of what stands before it: nothing of it is seen. */
function runsOf(cells: readonly IBufferCell[]): Run[] {
  const runs: Run[] = [];
  for (const [column, cell] of cells.entries()) {
    const last = runs.at(-1);
    const text = cell.getChars() || " ";
    const { colour, bold } = styleOf(cell);
    if (last !== undefined && (text === " " || (last.colour === colour && last.bold === bold))) last.text += text;
    else if (text !== " ") runs.push({ column, text, colour, bold });
  }
  return runs.map((run) => ({ ...run, text: run.text.trimEnd() }));
}
