import { describe, expect, test } from "vitest";
import { barLine, formatBytes } from "./progress.ts";

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [79_400_000, "79.4 MB"],
  [2e9, "2.0 GB"],
  [5e15, "5000.0 TB"],
])("%i bytes are shown as %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

describe("the line with the bar", () => {
  const bar = "#".repeat(15);
  const state = { done: 999_900_000, total: 999_949_999, rate: 999_949_999, eta: 9998.2 };

  test("has all of it at 80 columns, whatever the numbers are", () => {
    const line = barLine("download docker-rootless-extras-28.5.1.tgz", bar, state, 80);
    expect(line).toBe(`download docker-rootless-ext ${bar} 999.9 MB/999.9 MB 999.9 MB/s 9999s`);
    expect(line.length).toBeLessThan(80);
  });

  test("is cut where there are fewer, and goes on where there is no end to tell", () => {
    expect(barLine("download docker.tgz", bar, state, 40)).toHaveLength(39);
    expect(barLine("x", bar, { ...state, total: 0 }, 80)).toMatch(/^x {28}#{15} 999\.9 MB 999\.9 MB\/s $/);
  });
});
