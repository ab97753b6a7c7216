import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  fitsKernel,
  formatIdMap,
  type IdMap,
  insideOuterMap,
  parseIdMap,
  planIdMap,
  remapIdMap,
  toArguments,
} from "./map.ts";
import { total, withoutOverlaps } from "./ranges.ts";

const smallRanges = fc.array(fc.record({ start: fc.nat(60), length: fc.integer({ min: 1, max: 20 }) }), {
  maxLength: 8,
});

/** Each outside id that a map has, by inside id. */
const pairs = (map: IdMap): [number, number][] =>
  map.flatMap(({ inside, outside, length }) =>
    Array.from({ length }, (_, i): [number, number] => [inside + i, outside + i]),
  );

describe("planIdMap", () => {
  test.each([
    ["one range", "alice's own id, then the range", [[100000, 65536]], "0 1001 1\n1 100000 65536\n"],
    [
      "two ranges",
      "both, in their order",
      [
        [300000, 1000],
        [100000, 65536],
      ],
      "0 1001 1\n1 300000 1000\n1001 100000 65536\n",
    ],
    ["no range", "her own id alone", [], "0 1001 1\n"],
    [
      "a range twice",
      "it once",
      [
        [100000, 10],
        [100000, 10],
      ],
      "0 1001 1\n1 100000 10\n",
    ],
    [
      "her own id as a range",
      "it once",
      [
        [1001, 1],
        [100000, 10],
      ],
      "0 1001 1\n1 100000 10\n",
    ],
    ["a range around her own id", "the rest in two pieces", [[1000, 10]], "0 1001 1\n1 1000 1\n2 1002 8\n"],
  ] as const)("with %s maps %s", (_given, _maps, ranges, text) => {
    const map = planIdMap(
      1001,
      ranges.map(([start, length]) => ({ start, length })),
    );
    expect(formatIdMap(map)).toBe(text);
  });

  test("maps every id once, the own one to 0, and the others from 1 on without a gap", () => {
    fc.assert(
      fc.property(fc.nat(70), smallRanges, (ownId, ranges) => {
        const all = pairs(planIdMap(ownId, ranges));
        const outside = all.map(([, id]) => id);
        const delegated = withoutOverlaps(ranges);
        expect(all.map(([id]) => id)).toEqual(all.map((_, i) => i));
        expect(all[0]).toEqual([0, ownId]);
        expect(new Set(outside).size).toBe(outside.length);
        const isDelegated = delegated.some(({ start, length }) => ownId >= start && ownId < start + length);
        expect(outside.length).toBe(total(delegated) + (isDelegated ? 0 : 1));
      }),
    );
  });
});

describe("remapIdMap", () => {
  test("maps the delegated ranges alone, from 0 on, as dockerd does", () => {
    const map = remapIdMap([
      { start: 5000, length: 1 },
      { start: 100000, length: 65535 },
    ]);
    expect(formatIdMap(map)).toBe("0 5000 1\n1 100000 65535\n");
  });
});

describe("insideOuterMap", () => {
  const initial = parseIdMap("         0          0 4294967295\n");

  test("changes nothing outside any user namespace", () => {
    fc.assert(
      fc.property(smallRanges, (ranges) => {
        expect(insideOuterMap(ranges, initial)).toEqual(ranges);
      }),
    );
  });

  test("keeps only ids that exist in the namespace around", () => {
    const outer = parseIdMap("0 1001 1\n1 100000 65536\n");
    expect(insideOuterMap([{ start: 60000, length: 65536 }], outer)).toEqual([{ start: 60000, length: 5537 }]);
    expect(insideOuterMap([{ start: 100000, length: 65536 }], outer)).toEqual([]);
  });

  test("splits a range where a line of the outer map ends, since the kernel takes no line across two", () => {
    const outer = parseIdMap("1000 300000 1000\n0 100000 1000\n");
    expect(insideOuterMap([{ start: 500, length: 1000 }], outer)).toEqual([
      { start: 500, length: 500 },
      { start: 1000, length: 500 },
    ]);
  });

  test("leaves nothing in a namespace whose map was never written", () => {
    expect(insideOuterMap([{ start: 0, length: 10 }], parseIdMap(""))).toEqual([]);
  });
});

test("a map is given to newuidmap as inside, outside, count of each entry", () => {
  const map = planIdMap(1001, [{ start: 100000, length: 65536 }]);
  expect(toArguments(map)).toEqual(["0", "1001", "1", "1", "100000", "65536"]);
});

test("a map that was formatted parses to itself, and as the kernel pads it", () => {
  fc.assert(
    fc.property(fc.nat(70), smallRanges, (ownId, ranges) => {
      const map = planIdMap(ownId, ranges);
      const padded = map.map(({ inside, outside, length }) =>
        [inside, outside, length].map((n) => `${n}`.padStart(10)).join(" "),
      );
      expect(parseIdMap(formatIdMap(map))).toEqual(map);
      expect(parseIdMap(`${padded.join("\n")}\n`)).toEqual(map);
    }),
  );
});

describe("fitsKernel", () => {
  const lines = (count: number, outside: number): IdMap =>
    Array.from({ length: count }, (_, i) => ({ inside: i, outside: outside + 2 * i, length: 1 }));

  test("takes 340 short lines and no more", () => {
    expect(fitsKernel(lines(340, 1))).toBe(true);
    expect(fitsKernel(lines(341, 1))).toBe(false);
  });

  test("refuses fewer lines that fill a page", () => {
    expect(fitsKernel(lines(300, 100000))).toBe(true);
    expect(fitsKernel(lines(339, 100000))).toBe(false);
  });
});
