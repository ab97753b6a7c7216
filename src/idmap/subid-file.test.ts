import { describe, expect, test } from "vitest";
import { RlkitError } from "../errors.ts";
import { ownEntries, parseSubidFile } from "./subid-file.ts";

const own = (text: string): [number, number][] =>
  ownEntries("/etc/subuid", text, ["alice", "1001"]).map(({ start, length }) => [start, length]);

function failure(text: string): RlkitError {
  try {
    own(text);
  } catch (error) {
    if (error instanceof RlkitError) return error;
  }
  return expect.unreachable(`accepted ${JSON.stringify(text)}`);
}

describe("parseSubidFile", () => {
  test("gives everybody's entries with their lines, without blank lines and comments", () => {
    expect(parseSubidFile("# sub-ids\n\nbob:100000:65536\n  # more\nalice:165536:1\n")).toEqual({
      entries: [
        { owner: "bob", line: 3, start: 100000, length: 65536 },
        { owner: "alice", line: 5, start: 165536, length: 1 },
      ],
      malformed: [],
    });
  });

  test("reads a last line without newline", () => {
    expect(parseSubidFile("bob:100000:65536").entries).toHaveLength(1);
  });
});

describe("ownEntries", () => {
  test("finds a user by name and by decimal uid, in the order of the file", () => {
    const text = "1001:500000:10\nbob:100000:65536\nalice:300000:20\nalice:200000:30\n";
    expect(own(text)).toEqual([
      [500000, 10],
      [300000, 20],
      [200000, 30],
    ]);
  });

  test("finds nobody whose name only begins the same, and no uid with leading zeros", () => {
    expect(own("alice2:100000:10\n01001:200000:10\nAlice:300000:10\n")).toEqual([]);
  });

  test("takes a range that ends with the last id", () => {
    expect(own("alice:4294967290:5\n")).toEqual([[4294967290, 5]]);
  });

  test.each([
    ["alice:100000", "it has 2 fields"],
    ["alice:100000:65536:", "it has 4 fields"],
    ["alice::65536", 'the start "" is not a plain decimal number'],
    ["alice:0x186a0:65536", 'the start "0x186a0" is not a plain decimal number'],
    ["alice:0303240:65536", 'the start "0303240" is not a plain decimal number'],
    ["alice:-5:65536", 'the start "-5" is not a plain decimal number'],
    ["alice:100000:64k", 'the count "64k" is not a plain decimal number'],
    ["1001:100000:0", "the count is 0"],
    ["alice:4294967290:6", "it ends at 4294967295, past the last id, 4294967294"],
    ["alice:4294967296:1", "it ends at 4294967296, past the last id, 4294967294"],
    ["alice:100000:65536 ", "there is white space in it"],
    [" alice:100000:65536", "there is white space in it"],
    ["alice :100000:65536", "there is white space in it"],
    ["alice:100000:65536\r", "there is white space in it"],
  ])("refuses the user's own line %j: %s", (line, reason) => {
    const error = failure(`bob:1:1\n${line}\n`);
    expect(error.code).toBe("SUBID_FILE");
    expect(error.message).toBe(`/etc/subuid line 2: ${JSON.stringify(line)}: ${reason}`);
    expect(error.hint).toBe("write it as name:start:count, for example alice:100000:65536");
  });

  test.each([
    ["alice 100000 65536", "it has 1 field"],
    [":100000:65536", "it has no name"],
  ])("refuses a line whose owner cannot be told, %j", (line, reason) => {
    expect(failure(line).message).toBe(`/etc/subuid line 1: ${JSON.stringify(line)}: ${reason}`);
  });

  test.each(["bob:100000", "bob:0x10:5", "bob:5:0", " bob:1:1", "bob:1:1:1", "bob:1:1\r"])(
    "passes over somebody else's malformed line %j",
    (line) => {
      expect(own(`${line}\nalice:100000:65536\n`)).toEqual([[100000, 65536]]);
    },
  );
});
