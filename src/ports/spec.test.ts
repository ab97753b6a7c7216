import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RlkitError } from "../errors.ts";
import { type PortSpec, protos } from "./driver.ts";
import { formatPortSpec, parsePortSpec, type UncheckedSpec, validatePortSpec } from "./spec.ts";

function failure(act: () => unknown): RlkitError {
  try {
    act();
  } catch (error) {
    if (error instanceof RlkitError) return error;
    throw error;
  }
  return expect.unreachable("nothing was thrown");
}

const address = fc.oneof(fc.ipV4(), fc.ipV6());
const specs: fc.Arbitrary<PortSpec> = fc.record(
  {
    proto: fc.constantFrom(...protos),
    parentIP: fc.oneof(address, fc.constantFrom("fe80::1%eth0", "::ffff:127.0.0.1")),
    parentPort: fc.integer({ min: 0, max: 65535 }),
    childIP: address,
    childPort: fc.integer({ min: 1, max: 65535 }),
  },
  { requiredKeys: ["proto", "parentPort", "childPort"] },
);

describe("parsePortSpec reads", () => {
  test.each<[string, PortSpec]>([
    ["127.0.0.1:8080:80/tcp", { proto: "tcp", parentIP: "127.0.0.1", parentPort: 8080, childPort: 80 }],
    [
      "127.0.0.1:8080:10.0.2.100:80/tcp",
      { proto: "tcp", parentIP: "127.0.0.1", parentPort: 8080, childIP: "10.0.2.100", childPort: 80 },
    ],
    ["[::1]:8080:[::2]:80/udp", { proto: "udp", parentIP: "::1", parentPort: 8080, childIP: "::2", childPort: 80 }],
    [
      "0.0.0.0:8080:[127.0.0.1]:80/tcp",
      { proto: "tcp", parentIP: "0.0.0.0", parentPort: 8080, childIP: "127.0.0.1", childPort: 80 },
    ],
    [":8080:80/tcp", { proto: "tcp", parentPort: 8080, childPort: 80 }],
    [":8080::80/tcp", { proto: "tcp", parentPort: 8080, childPort: 80 }],
    [":0080:80/sctp4", { proto: "sctp4", parentPort: 80, childPort: 80 }],
    [":0:80/udp6", { proto: "udp6", parentPort: 0, childPort: 80 }],
    ["[fe80::1%eth0]:1:2/tcp6", { proto: "tcp6", parentIP: "fe80::1%eth0", parentPort: 1, childPort: 2 }],
  ])("%s", (text, spec) => {
    expect(parsePortSpec(text)).toEqual(spec);
  });

  test("every spec that formatPortSpec writes", () => {
    fc.assert(
      fc.property(specs, (spec) => {
        expect(parsePortSpec(formatPortSpec(spec))).toEqual(spec);
      }),
    );
  });

  test.each<[string, string]>([
    ["8080:80", ":8080:80/tcp"],
    ["8080:80/udp", ":8080:80/udp"],
    ["127.0.0.1:8080:80", "127.0.0.1:8080:80/tcp"],
    ["[::1]:8080:80", "[::1]:8080:80/tcp"],
    ["0:80", ":0:80/tcp"],
  ])("%s as %s where there is a default protocol", (short, long) => {
    expect(parsePortSpec(short, { defaultProto: "tcp" })).toEqual(parsePortSpec(long));
    expect(() => parsePortSpec(short)).toThrow(RlkitError);
  });
});

describe("parsePortSpec refuses", () => {
  test.each([
    ["", 'missing proto in PortSpec string: ""'],
    ["8080", 'missing proto in PortSpec string: "8080"'],
    ["127.0.0.1:8080:80", 'missing proto in PortSpec string: "127.0.0.1:8080:80"'],
    ["127.0.0.1:8080:80/TCP", 'invalid PortSpec string: "127.0.0.1:8080:80/TCP": unknown proto: "TCP"'],
    [":80:80/", 'invalid PortSpec string: ":80:80/": unknown proto: ""'],
    ["8080:80/tcp", 'unexpected PortSpec string: "8080:80/tcp"'],
    ["8080/tcp", 'unexpected PortSpec string: "8080/tcp"'],
    ["1:2:3:4:5/tcp", 'unexpected PortSpec string: "1:2:3:4:5/tcp"'],
    ["localhost:80:80/tcp", 'invalid PortSpec string: "localhost:80:80/tcp": invalid ParentIP: "localhost"'],
    ["[]:80:80/tcp", 'invalid PortSpec string: "[]:80:80/tcp": invalid ParentIP: "[]"'],
    [":80:zz:80/tcp", 'invalid PortSpec string: ":80:zz:80/tcp": invalid ChildIP: "zz"'],
    [":80:[fe80::1%a]:80/tcp", 'invalid PortSpec string: ":80:[fe80::1%a]:80/tcp": invalid ChildIP: "fe80::1%a"'],
    [":70000:80/tcp", 'invalid PortSpec string: ":70000:80/tcp": invalid ParentPort: 70000'],
    ["::80/tcp", 'invalid PortSpec string: "::80/tcp": invalid ParentPort: ""'],
    [":-1:80/tcp", 'invalid PortSpec string: ":-1:80/tcp": invalid ParentPort: "-1"'],
    [":80:0x50/tcp", 'invalid PortSpec string: ":80:0x50/tcp": invalid ChildPort: "0x50"'],
    [":80:0/tcp", 'invalid PortSpec string: ":80:0/tcp": invalid ChildPort: 0'],
    [":80-90:80/tcp", 'invalid PortSpec string: ":80-90:80/tcp": invalid ParentPort: "80-90"'],
    ["127.0.0.1:1:1/tcp,127.0.0.1:2:2/tcp", 'unexpected PortSpec string: "127.0.0.1:1:1/tcp,127.0.0.1:2:2/tcp"'],
  ])("%j", (text, message) => {
    const error = failure(() => parsePortSpec(text));
    expect(error.message).toBe(message);
    expect(error.code).toBe("USAGE");
    expect(error.hint).toContain("[parentIP]:parentPort[:childIP]:childPort/proto");
  });

  test.each(["::1:8080:80/tcp", "2001:db8::1:80:80/tcp"])("%s, and says that brackets are missing", (text) => {
    expect(failure(() => parsePortSpec(text)).hint).toMatch(/^an IPv6 address needs brackets: /);
  });

  test("any other string, with an RlkitError that people can read", () => {
    const pieces = fc.constantFrom(
      "[",
      "]",
      ":",
      "::",
      "/",
      "tcp",
      "udp6",
      "80",
      "1.2.3.4",
      "\0",
      "%",
      " ",
      "é",
      "99999",
    );
    const texts = fc.oneof(
      fc.string(),
      fc.string({ unit: "binary" }),
      fc.array(pieces).map((p) => p.join("")),
    );
    fc.assert(
      fc.property(texts, fc.boolean(), (text, lenient) => {
        try {
          const spec = parsePortSpec(text, lenient ? { defaultProto: "tcp" } : {});
          expect(validatePortSpec(spec)).toEqual(parsePortSpec(formatPortSpec(spec)));
        } catch (error) {
          expect(error).toBeInstanceOf(RlkitError);
          expect((error as Error).message.length).toBeLessThan(1000);
        }
      }),
      { numRuns: 3000 },
    );
  });

  test("a megabyte, in a moment and in few words", () => {
    const begin = performance.now();
    const error = failure(() => parsePortSpec(`${"x".repeat(1 << 20)}:80:80/tcp`));
    expect(error.message.length).toBeLessThan(1000);
    expect(performance.now() - begin).toBeLessThan(1000);
  });
});

describe("validatePortSpec", () => {
  const good: UncheckedSpec = { proto: "tcp", parentIP: "127.0.0.1", parentPort: 1001, childPort: 1001 };

  test("passes a spec on as it is", () => {
    expect(validatePortSpec(good)).toBe(good);
    expect(validatePortSpec({ ...good, parentIP: "", childIP: "" })).toEqual({ ...good, parentIP: "", childIP: "" });
  });

  test.each<[Partial<UncheckedSpec>, string]>([
    [{ proto: "" }, 'unknown proto: ""'],
    [{ proto: "TCP" }, 'unknown proto: "TCP"'],
    [{ proto: "tcp", parentIP: "zz" }, 'invalid ParentIP: "zz"'],
    [{ childIP: "10.0.2" }, 'invalid ChildIP: "10.0.2"'],
    [{ parentPort: -200 }, "invalid ParentPort: -200"],
    [{ parentPort: 65536 }, "invalid ParentPort: 65536"],
    [{ parentPort: 80.5 }, "invalid ParentPort: 80.5"],
    [{ childPort: 0 }, "invalid ChildPort: 0"],
    [{ childPort: 1e9 }, "invalid ChildPort: 1000000000"],
    // The first of several that RootlessKit would name.
    [{ proto: "x", parentIP: "y", childIP: "z", parentPort: -1, childPort: -1 }, 'unknown proto: "x"'],
    [{ parentIP: "y", childIP: "z", parentPort: -1 }, 'invalid ParentIP: "y"'],
  ])("refuses %j", (change, message) => {
    const error = failure(() => validatePortSpec({ ...good, ...change }));
    expect(error.message).toBe(message);
    expect(error.code).toBe("PORT");
  });
});
