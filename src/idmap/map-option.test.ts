import { describe, expect, test } from "vitest";
import { RlkitError } from "../errors.ts";
import { formatIdMap } from "./map.ts";
import { parseMapOption } from "./map-option.ts";

const allowed = {
  ownId: 1001,
  ranges: [
    { start: 100000, length: 65536 },
    { start: 165536, length: 10 },
    { start: 5000, length: 1 },
  ],
};

const parse = (...values: string[]): string => formatIdMap(parseMapOption("--uid-map", values, allowed));

function failure(...values: string[]): RlkitError {
  try {
    parse(...values);
  } catch (error) {
    if (error instanceof RlkitError) return error;
  }
  return expect.unreachable(`accepted ${values.join(" ")}`);
}

describe("parseMapOption", () => {
  test("takes repeated options and lists with commas, in the order given", () => {
    expect(parse("0:1001:1", "1:100000:10,500:100010:5")).toBe("0 1001 1\n1 100000 10\n500 100010 5\n");
  });

  test("takes delegated ids alone, also across ranges that touch", () => {
    expect(parse("0:5000:1,1:165530:10")).toBe("0 5000 1\n1 165530 10\n");
  });

  test.each(["", "0", "0:1001", "0:1001:1:1", "0:1001:", "a:1001:1", "0:-1:1", "0:1001:0x1", "0: 1001:1"])(
    "refuses %j, which is no inside:outside:length",
    (value) => {
      const error = failure(value);
      expect(error.code).toBe("IDMAP_OPTION");
      expect(error.message).toBe(`--uid-map: ${JSON.stringify(value)} is not inside:outside:length`);
      expect(error.hint).toBe("write three decimal numbers, for example --uid-map 0:1000:1");
    },
  );

  test.each([
    ["an empty piece of a list", "0:1001:1,", '--uid-map: "" is not inside:outside:length'],
    ["a length of 0", "0:1001:0", "--uid-map: 0:1001:0 maps nothing: its length is 0"],
    ["outside ids past the last", "0:4294967290:6", "--uid-map: 0:4294967290:6 goes past the last id, 4294967294"],
    [
      "inside ids past the last",
      "4294967295:100000:1",
      "--uid-map: 4294967295:100000:1 goes past the last id, 4294967294",
    ],
    ["an inside id twice", "0:1001:1,0:100000:5", "--uid-map: 0:1001:1 and 0:100000:5 both map inside 0-0"],
    [
      "an outside id twice",
      "0:100000:5,9:100003:5",
      "--uid-map: 0:100000:5 and 9:100003:5 both map outside 100003-100004",
    ],
    [
      "an id of somebody else",
      "0:1001:1,1:1002:1",
      "--uid-map: 1:1002:1: outside 1002-1002 is not delegated to this user",
    ],
    [
      "the own id with the next one",
      "0:1001:2",
      "--uid-map: 0:1001:2: outside 1001-1002 is not delegated to this user",
    ],
    [
      "an id past the range",
      "0:165536:11",
      "--uid-map: 0:165536:11: outside 165536-165546 is not delegated to this user",
    ],
    ["a map without 0", "1:1001:1", "--uid-map: inside id 0, as which the command starts, is not mapped"],
  ])("refuses %s", (_, value, message) => {
    const error = failure(value);
    expect(error.message).toBe(message);
    expect(error.code).toBe("IDMAP_OPTION");
  });

  test("says which ids can be mapped", () => {
    expect(failure("0:0:1").hint).toBe(
      "ids that can be mapped: 1001 (its own, with length 1); 100000-165535, 165536-165545, 5000-5000",
    );
  });
});
