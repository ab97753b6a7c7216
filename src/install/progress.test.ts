import { expect, test } from "vitest";
import { formatBytes } from "./progress.ts";

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
