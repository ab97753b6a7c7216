import { expect, test } from "vitest";
import { clip } from "./watch.ts";

test.each([
  ["a\nbb\n", { columns: 80, rows: 3 }, "a\nbb\n"],
  ["a\nbb\nccc\n", { columns: 2, rows: 4 }, "a\nbb\ncc\n"],
  ["1\n2\n3\n4\n", { columns: 80, rows: 4 }, "1\n2\n… and 2 more\n"],
  ["1\n2\n3\n4\n5\n", { columns: 7, rows: 4 }, "1\n2\n… and 3\n"],
  ["a\n", {}, "a\n"],
  ["a\nb\n", { columns: 0, rows: 0 }, "a\nb\n"],
])("%j in a terminal of %j is %j: the cursor finds its way back", (text, terminal, shown) => {
  expect(clip(text, terminal)).toBe(shown);
});
