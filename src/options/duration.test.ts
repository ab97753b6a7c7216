import { expect, test } from "vitest";
import { parseDuration } from "./duration.ts";

test.each([
  ["500ms", 500],
  ["2s", 2000],
  ["1.5s", 1500],
  ["2m", 120_000],
  ["3", 3000],
  ["0", 0],
])("%s is %i ms", (text, milliseconds) => {
  expect(parseDuration(text, "--stop-timeout")).toBe(milliseconds);
});

test.each(["", "s", "-1s", "1h", "1 s", "1e3", ".5s", "1s2"])("%j is none", (text) => {
  expect(() => parseDuration(text, "--stop-timeout")).toThrow(`--stop-timeout=${text} is no duration`);
});
