import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  covers,
  freeRange,
  ID_LIMIT,
  type IdRange,
  intersect,
  parseDecimal,
  subtract,
  total,
  withoutId,
  withoutOverlaps,
} from "./ranges.ts";

// A small world of ids, so that ranges often overlap, touch and repeat.
const smallRange = fc.record({ start: fc.nat(60), length: fc.integer({ min: 1, max: 20 }) });
const smallRanges = fc.array(smallRange, { maxLength: 8 });
const anyRanges = fc.array(
  fc
    .record({ start: fc.integer({ min: 0, max: ID_LIMIT - 1 }), length: fc.integer({ min: 1, max: ID_LIMIT }) })
    .map(({ start, length }) => ({ start, length: Math.min(length, ID_LIMIT - start) })),
  { maxLength: 6 },
);

const idsOf = (ranges: readonly IdRange[]): number[] =>
  ranges.flatMap(({ start, length }) => Array.from({ length }, (_, i) => start + i));

const firstOccurrences = (ids: readonly number[]): number[] => [...new Set(ids)];

describe("parseDecimal", () => {
  test.each(["0", "1", "65536", "4294967295", "9999999999"])("takes %s", (text) => {
    expect(parseDecimal(text)).toBe(Number(text));
  });

  test.each(["", "-1", "+1", "0x186a0", "0303240", "00", "1e5", "1.0", " 1", "1 ", "1\r", "١", "12345678901", "NaN"])(
    "does not take %j",
    (text) => {
      expect(parseDecimal(text)).toBeUndefined();
    },
  );
});

describe("subtract", () => {
  test.each<[string, IdRange[], IdRange[]]>([
    ["nothing", [], [{ start: 10, length: 10 }]],
    ["what lies before it", [{ start: 0, length: 10 }], [{ start: 10, length: 10 }]],
    ["its first ids", [{ start: 5, length: 6 }], [{ start: 11, length: 9 }]],
    ["its last ids", [{ start: 19, length: 5 }], [{ start: 10, length: 9 }]],
    [
      "ids in its middle",
      [{ start: 12, length: 2 }],
      [
        { start: 10, length: 2 },
        { start: 14, length: 6 },
      ],
    ],
    ["all of it", [{ start: 0, length: 100 }], []],
    [
      "all of it in two parts",
      [
        { start: 15, length: 5 },
        { start: 10, length: 5 },
      ],
      [],
    ],
  ])("takes away %s", (_, taken, left) => {
    expect(subtract({ start: 10, length: 10 }, taken)).toEqual(left);
  });

  test("leaves exactly the ids that are not taken", () => {
    fc.assert(
      fc.property(smallRange, smallRanges, (range, taken) => {
        const gone = new Set(idsOf(taken));
        expect(idsOf(subtract(range, taken))).toEqual(idsOf([range]).filter((id) => !gone.has(id)));
      }),
    );
  });
});

describe("intersect", () => {
  test("gives the common ids, and nothing for ranges that only touch", () => {
    expect(intersect({ start: 0, length: 10 }, { start: 5, length: 10 })).toEqual({ start: 5, length: 5 });
    expect(intersect({ start: 0, length: 10 }, { start: 10, length: 10 })).toBeUndefined();
  });
});

describe("withoutOverlaps", () => {
  test("merges a range that is there twice, as by name and by uid", () => {
    const range = { start: 100000, length: 65536 };
    expect(withoutOverlaps([range, range])).toEqual([range]);
  });

  test("leaves of a later range what an earlier one does not have", () => {
    expect(
      withoutOverlaps([
        { start: 100, length: 10 },
        { start: 90, length: 30 },
      ]),
    ).toEqual([
      { start: 100, length: 10 },
      { start: 90, length: 10 },
      { start: 110, length: 10 },
    ]);
  });

  test("does not join ranges that touch, and does not sort", () => {
    const ranges = [
      { start: 300, length: 10 },
      { start: 310, length: 10 },
      { start: 100, length: 10 },
    ];
    expect(withoutOverlaps(ranges)).toEqual(ranges);
  });

  test("keeps every id, once, in the order of its first occurrence", () => {
    fc.assert(
      fc.property(smallRanges, (ranges) => {
        // Within one range the order is ascending, whatever pieces it is cut into.
        expect(idsOf(withoutOverlaps(ranges))).toEqual(firstOccurrences(idsOf(ranges)));
      }),
    );
  });

  test("changes nothing the second time, also at the upper end of the ids", () => {
    fc.assert(
      fc.property(anyRanges, (ranges) => {
        const once = withoutOverlaps(ranges);
        expect(withoutOverlaps(once)).toEqual(once);
        expect(total(once)).toBeLessThanOrEqual(ID_LIMIT);
        expect(once.every(({ length }) => length > 0)).toBe(true);
        expect(ranges.every((range) => covers(once, range))).toBe(true);
      }),
    );
  });
});

describe("withoutId", () => {
  test("splits the range around the id", () => {
    expect(withoutId([{ start: 1000, length: 10 }], 1001)).toEqual([
      { start: 1000, length: 1 },
      { start: 1002, length: 8 },
    ]);
  });

  test("drops a range of that id alone", () => {
    expect(withoutId([{ start: 1001, length: 1 }], 1001)).toEqual([]);
  });
});

describe("covers", () => {
  test("counts ranges that touch as one", () => {
    const ranges = [
      { start: 110, length: 10 },
      { start: 100, length: 10 },
    ];
    expect(covers(ranges, { start: 105, length: 10 })).toBe(true);
    expect(covers(ranges, { start: 105, length: 16 })).toBe(false);
  });
});

describe("freeRange", () => {
  test.each<[string, IdRange[], number]>([
    ["the first ids there are, if nobody has any", [], 100000],
    ["the ids after the only range", [{ start: 100000, length: 65536 }], 165536],
    [
      "a gap that is just large enough",
      [
        { start: 100000, length: 10 },
        { start: 165546, length: 10 },
      ],
      100010,
    ],
    [
      "the ids after a gap that is too small",
      [
        { start: 100000, length: 10 },
        { start: 165545, length: 10 },
      ],
      165555,
    ],
    [
      "ids after a large range, whatever lies within that",
      [
        { start: 0, length: 500000 },
        { start: 200000, length: 1 },
      ],
      500000,
    ],
  ])("finds %s", (_, taken, start) => {
    expect(freeRange(taken)).toEqual({ start, length: 65536 });
  });

  test("finds none when the ids are used up", () => {
    expect(freeRange([{ start: 0, length: ID_LIMIT }])).toBeUndefined();
    expect(freeRange([], 10, ID_LIMIT - 10)).toEqual({ start: ID_LIMIT - 10, length: 10 });
    expect(freeRange([], 11, ID_LIMIT - 10)).toBeUndefined();
  });

  test("overlaps with nobody's range, and is the first of its length", () => {
    fc.assert(
      fc.property(smallRanges, fc.integer({ min: 1, max: 10 }), fc.nat(30), (taken, count, from) => {
        const found = freeRange(taken, count, from) ?? expect.unreachable();
        const isFree = (start: number): boolean => !taken.some((range) => intersect(range, { start, length: count }));
        expect(found.length).toBe(count);
        expect(isFree(found.start)).toBe(true);
        for (let start = from; start < found.start; start++) expect(isFree(start)).toBe(false);
      }),
    );
  });
});
