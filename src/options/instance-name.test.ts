import { expect, test } from "vitest";
import { instanceName } from "./instance-name.ts";

test.each<[string | undefined, string | undefined, string | undefined]>([
  [undefined, undefined, undefined],
  [undefined, "", undefined],
  [undefined, "ci", "ci"],
  ["web", "ci", "web"],
  ["a.b_c-9", undefined, "a.b_c-9"],
])("--instance=%s, RLKIT_INSTANCE=%s: %s", (given, variable, expected) => {
  expect(instanceName(given, { RLKIT_INSTANCE: variable })).toBe(expected);
});

test.each(["", "-a", ".", "a/b", "a b", "ä", "x".repeat(33)])("--instance=%j is refused", (given) => {
  expect(() => instanceName(given, {})).toThrow(`--instance=${given} is no name of an instance`);
});

test("a bad RLKIT_INSTANCE is named as what it is", () => {
  expect(() => instanceName(undefined, { RLKIT_INSTANCE: "../x" })).toThrow("RLKIT_INSTANCE=../x is no name");
});
