/** Ids `start` to `start + length - 1`, as they are outside the namespace; `length` is at least 1. */
export interface IdRange {
  start: number;
  length: number;
}

/** One past the last id: 2^32 - 1 is (uid_t)-1, which setreuid(2) takes for "leave it", so the kernel maps it to nothing. */
export const ID_LIMIT = 0xffff_ffff;

const end = (range: IdRange): number => range.start + range.length;

const between = (start: number, end: number): IdRange => ({ start, length: end - start });

/**
 * A number in plain decimal, or undefined. Not `0x186a0` and not `0303240`: newuidmap(1) reads the first as hexadecimal and the
 * second as octal, RootlessKit and Docker refuse the first and read the second as decimal.
 */
export function parseDecimal(text: string): number | undefined {
  return /^(0|[1-9][0-9]{0,9})$/.test(text) ? Number(text) : undefined;
}

/** `100000-165535`: a range as usermod(8) takes it and people read it. */
export function formatRange(range: IdRange): string {
  return `${range.start}-${end(range) - 1}`;
}

/** How many ids the ranges have; the ranges must not overlap. */
export function total(ranges: readonly IdRange[]): number {
  return ranges.reduce((sum, { length }) => sum + length, 0);
}

/** The pieces of `range` that none of `taken` covers, in ascending order. */
export function subtract(range: IdRange, taken: readonly IdRange[]): IdRange[] {
  let pieces = [range];
  for (const hole of taken) {
    pieces = pieces
      .flatMap((piece) => [
        between(piece.start, Math.min(end(piece), hole.start)),
        between(Math.max(piece.start, end(hole)), end(piece)),
      ])
      .filter(({ length }) => length > 0);
  }
  return pieces;
}

/** The ids that both have, or undefined. */
export function intersect(a: IdRange, b: IdRange): IdRange | undefined {
  const common = between(Math.max(a.start, b.start), Math.min(end(a), end(b)));
  return common.length > 0 ? common : undefined;
}

/**
 * The same ids, each once and where it came first. Ranges that only touch are not joined: a subid plugin of nsswitch.conf may
 * be asked for one range as a whole, and it knows them as it gave them out.
 */
export function withoutOverlaps(ranges: readonly IdRange[]): IdRange[] {
  const result: IdRange[] = [];
  for (const range of ranges) result.push(...subtract(range, result));
  return result;
}

/** The ranges without one id: the range that has it is split around it. */
export function withoutId(ranges: readonly IdRange[], id: number): IdRange[] {
  return ranges.flatMap((range) => subtract(range, [{ start: id, length: 1 }]));
}

/** Whether the ranges together have every id of `piece`. */
export function covers(ranges: readonly IdRange[], piece: IdRange): boolean {
  return subtract(piece, ranges).length === 0;
}

/**
 * The first `count` ids in a row, from `from` on, that no range has; undefined if there are none. The defaults are SUB_UID_COUNT
 * and SUB_UID_MIN of login.defs(5).
 */
export function freeRange(taken: readonly IdRange[], count = 65536, from = 100000): IdRange | undefined {
  let start = from;
  for (const range of [...taken].sort((a, b) => a.start - b.start)) {
    if (range.start >= start + count) break;
    start = Math.max(start, end(range));
  }
  return start + count <= ID_LIMIT ? { start, length: count } : undefined;
}
