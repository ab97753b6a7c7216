import { expect, test } from "vitest";
import { optionsFirst } from "./command.ts";
import type { OptionTable } from "./options.ts";

const table: OptionTable = {
  json: { type: "boolean", describe: "" },
  interval: { type: "number", describe: "" },
  "state-dir": { type: "string", describe: "" },
  lines: { type: "number", alias: "n", describe: "" },
};

test.each([
  ["", ""],
  ["1 2", "-- 1 2"],
  ["--json", "--json"],
  ["--json 1", "--json -- 1"],
  ["1 --json 2", "--json -- 1 2"],
  ["1 --interval 3 2", "--interval 3 -- 1 2"],
  ["1 --state-dir=/x --json", "--state-dir=/x --json -- 1"],
  ["1 --json=false", "--json=false -- 1"],
  ["1 -n 3 2", "-n 3 -- 1 2"],
  ["1 -n3 -x 2", "-n3 -x -- 1 2"],
  ["1 --interval --json", "--interval --json -- 1"],
  ["1 --state-dir", "--state-dir -- 1"],
  ["1 --jsn -h", "--jsn -h -- 1"],
  ["1 -- --json", "-- 1 --json"],
  ["-- --json -- 1", "-- --json -- 1"],
  ["1 - 2", "-- 1 - 2"],
])("%j with its options first: %j", (argv, expected) => {
  const words = (line: string) => line.split(" ").filter(Boolean);
  expect(optionsFirst(table, words(argv))).toEqual(words(expected));
});
