/** A column's heading, and whether its cells are numbers. */
export interface Column {
  head: string;
  right?: true;
}

/** Blanks between two columns. */
export const GAP = 2;

const NO_LINES = Object.fromEntries(
  [
    ...["top", "top-mid", "top-left", "top-right", "bottom", "bottom-mid", "bottom-left", "bottom-right"],
    ...["left", "left-mid", "mid", "mid-mid", "right", "right-mid"],
  ].map((part) => [part, ""]),
);

/** Rows as a table without lines, as docker prints them; each line ends without blanks. */
export async function printTable(
  columns: readonly Column[],
  rows: readonly (readonly (string | number)[])[],
): Promise<string> {
  const { default: Table } = await import("cli-table3");
  const table = new Table({
    head: columns.map(({ head }) => head),
    colAligns: columns.map(({ right }) => (right ? "right" : "left")),
    style: { head: [], border: [], "padding-left": 0, "padding-right": GAP, compact: true },
    chars: { ...NO_LINES, middle: "" },
  });
  table.push(...rows.map((row) => [...row]));
  return table.toString().replaceAll(/ +$/gm, "").concat("\n");
}
