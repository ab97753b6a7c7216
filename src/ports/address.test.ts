import { isIP } from "node:net";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dotted, isLoopback, isWildcard, parseAddress } from "./address.ts";

describe("parseAddress agrees with node:net", () => {
  const addresses = fc.oneof(
    fc.ipV4(),
    fc.ipV6(),
    fc.string({ unit: fc.constantFrom(..."0123456789abcdefF:.%") }),
    fc
      .array(fc.constantFrom("::", ":", "0", "1f", "ffff", "12345", "1.2.3.4", "256.1.1.1", "1.2.3", "01.2.3.4"))
      .map((p) => p.join("")),
    fc.array(fc.constantFrom("0", "1", "ab", "1.2.3.4"), { minLength: 6, maxLength: 9 }).map((p) => p.join(":")),
    fc.array(fc.constantFrom("0", "1", "ab", ""), { minLength: 6, maxLength: 9 }).map((p) => p.join(":")),
  );

  test("on what is an address", () => {
    fc.assert(
      fc.property(addresses, (text) => {
        if (!text.includes("%")) expect(parseAddress(text) !== undefined).toBe(isIP(text) !== 0);
      }),
      { numRuns: 5000 },
    );
  });

  test("on the bytes", () => {
    const same = (a: string, b: string) => expect(parseAddress(a)).toEqual(parseAddress(b));
    same("2001:db8::1", "2001:0DB8:0:0:0:0:0:1");
    same("::1.2.3.4", "::102:304");
    expect(parseAddress("2001:db8::ff01")).toEqual({
      family: 6,
      bytes: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 1],
      zone: undefined,
    });
  });
});

test("IPv4 in IPv6's clothes is IPv4", () => {
  expect(parseAddress("::ffff:192.0.2.1")).toEqual(parseAddress("192.0.2.1"));
  expect(parseAddress("::ffff:c000:201")).toEqual(parseAddress("192.0.2.1"));
});

test.each([
  ["fe80::1%eth0", "eth0"],
  ["fe80::1%a-b.c:1", "a-b.c:1"],
])("%s has a zone", (text, zone) => {
  expect(parseAddress(text)).toMatchObject({ family: 6, zone });
});

test.each([
  "fe80::1%",
  "fe80::1%%a",
  "fe80::1%a/b",
  "fe80::1%a b",
  "fe80::1%0123456789abcdef",
  "127.0.0.1%lo",
  "%lo",
  "",
])("%j is no address", (text) => expect(parseAddress(text)).toBeUndefined());

test.each([
  ["0.0.0.0", true, false],
  ["::", true, false],
  ["::ffff:0.0.0.0", true, false],
  ["127.0.0.1", false, true],
  ["127.255.0.9", false, true],
  ["::ffff:127.0.0.1", false, true],
  ["::1", false, true],
  ["::2", false, false],
  ["128.0.0.1", false, false],
  ["2001:db8::1", false, false],
])("%s: wildcard %s, loopback %s", (text, wildcard, loopback) => {
  const address = parseAddress(text) ?? expect.unreachable();
  expect([isWildcard(address), isLoopback(address)]).toEqual([wildcard, loopback]);
});

test("dots are for IPv4 only", () => {
  expect(["::ffff:10.0.2.1", "::1"].map((text) => dotted(parseAddress(text) ?? expect.unreachable()))).toEqual([
    "10.0.2.1",
    undefined,
  ]);
});
