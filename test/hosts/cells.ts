/** What a cell of the matrix is made of, in the table's order. */
export const dimensions = {
  suite: ["bookworm", "trixie", "sid"],
  net: ["slirp4netns", "pasta"],
  iptables: ["nft", "legacy"],
  start: ["debian", "rlkit"],
  storage: ["overlay2", "fuse-overlayfs", "vfs"],
} as const;

type Dimensions = typeof dimensions;
export type Dimension = keyof Dimensions;
export const dimensionNames = Object.keys(dimensions) as Dimension[];

/** A host, and the way in which dockerd is started in it: through Debian's script, or through rlkit's own. */
export type Cell = { readonly [Name in Dimension]: Dimensions[Name][number] };

/** The chosen values of each dimension. */
export type Selection = { readonly [Name in Dimension]: readonly Cell[Name][] };

/** All cells of a selection. */
export function cellsOf(selection: Selection): Cell[] {
  let cells: Partial<Cell>[] = [{}];
  for (const name of dimensionNames) {
    cells = cells.flatMap((cell) => selection[name].map((value) => ({ ...cell, [name]: value })));
  }
  return cells as Cell[];
}

export const title = (cell: Cell): string => dimensionNames.map((name) => cell[name]).join(" · ");
