import { expect, test } from "vitest";
import { humanBytes } from "../human-bytes.ts";
import { printTable } from "./table.ts";

test.each([
  [0, "0 B"],
  [1, "1 B"],
  [999, "999 B"],
  [1000, "1.0 KiB"],
  [1024, "1.0 KiB"],
  [1229, "1.2 KiB"],
  [10_239, "10 KiB"],
  [37 * 1024 ** 2, "37 MiB"],
  [999.6 * 1024, "1.0 MiB"],
  [2 ** 40, "1.0 TiB"],
  [2 ** 62, "4096 PiB"],
  [12.4, "12 B"],
])("%d bytes are %s", (bytes, text) => {
  expect(humanBytes(bytes)).toBe(text);
});

test("a table has no lines, aligns numbers to the right, and ends its lines without blanks", async () => {
  const columns = [{ head: "ID", right: true as const }, { head: "NAME" }, { head: "OPEN", right: true as const }];
  expect(
    await printTable(columns, [
      [1, "a", 10],
      [1000, "long name", 2],
    ]),
  ).toBe(["  ID  NAME       OPEN", "   1  a            10", "1000  long name     2", ""].join("\n"));
  expect(await printTable(columns, [])).toBe("ID  NAME  OPEN\n");
});
