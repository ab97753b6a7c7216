import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RlkitError } from "../errors.ts";
import { decodeSpecs } from "./decode.ts";

const empty = { proto: "", parentPort: 0, childPort: 0 };

const decode = (body: string) => decodeSpecs(Buffer.from(body));

// The answers are those that RootlessKit 1.1.0 itself gave to these bodies.
describe("a body that RootlessKit can't decode gets its words", () => {
  const SPEC = "json: cannot unmarshal";
  const FIELD = "into Go struct field Spec.parentPort of type int";

  test.each([
    ["", "EOF"],
    [" \t\r\n", "EOF"],
    ["{", "unexpected EOF"],
    ["nul", "unexpected EOF"],
    ["-", "unexpected EOF"],
    ["1.", "unexpected EOF"],
    ["1e", "unexpected EOF"],
    ['"a', "unexpected EOF"],
    ["[[[[", "unexpected EOF"],
    ["[1,2", "unexpected EOF"],
    ['{"proto"', "unexpected EOF"],
    ["x", "invalid character 'x' looking for beginning of value"],
    ["'", "invalid character '\\'' looking for beginning of value"],
    ["\0", "invalid character '\\x00' looking for beginning of value"],
    ["\ufeff{}", "invalid character 'ï' looking for beginning of value"],
    ["[1,]", "invalid character ']' looking for beginning of value"],
    ['{"a":[}', "invalid character '}' looking for beginning of value"],
    ['{"a":1,}', "invalid character '}' looking for beginning of object key string"],
    ["{,", "invalid character ',' looking for beginning of object key string"],
    ['{"proto"x', "invalid character 'x' after object key"],
    ['{"a":1 "b"', "invalid character '\"' after object key:value pair"],
    ['{"a":0x1}', "invalid character 'x' after object key:value pair"],
    ["[1 2]", "invalid character '2' after array element"],
    ['"\n"', "invalid character '\\n' in string literal"],
    ['{"a":"\t"}', "invalid character '\\t' in string literal"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u12x"', "invalid character 'x' in \\u hexadecimal character escape"],
    ["-x", "invalid character 'x' in numeric literal"],
    ['{"a":-.1}', "invalid character '.' in numeric literal"],
    ['{"a":1.e}', "invalid character 'e' after decimal point in numeric literal"],
    ["1ex", "invalid character 'x' in exponent of numeric literal"],
    ['{"a":1e+}', "invalid character '}' in exponent of numeric literal"],
    ["trux", "invalid character 'x' in literal true (expecting 'e')"],
    ["falsy", "invalid character 'y' in literal false (expecting 'e')"],
    ["nulx", "invalid character 'x' in literal null (expecting 'l')"],
    ['"x"', `${SPEC} string into Go value of type port.Spec`],
    ["1.5", `${SPEC} number into Go value of type port.Spec`],
    ["01", `${SPEC} number into Go value of type port.Spec`],
    ["1x", `${SPEC} number into Go value of type port.Spec`],
    ["true", `${SPEC} bool into Go value of type port.Spec`],
    ['{"proto":1}', `${SPEC} number into Go struct field Spec.proto of type string`],
    ['{"proto":true}', `${SPEC} bool into Go struct field Spec.proto of type string`],
    ['{"proto":[1]}', `${SPEC} array into Go struct field Spec.proto of type string`],
    ['{"proto":{}}', `${SPEC} object into Go struct field Spec.proto of type string`],
    ['{"proto":"tcp","parentPort":"1"}', `${SPEC} string ${FIELD}`],
    ['{"proto":"tcp","parentPort":1.5}', `${SPEC} number 1.5 ${FIELD}`],
    ['{"proto":"tcp","parentPort":1e2,"childPort":"x"}', `${SPEC} number 1e2 ${FIELD}`],
    ['{"PARENTport":9223372036854775808}', `${SPEC} number 9223372036854775808 ${FIELD}`],
    ['{"parentIP":5,"parentPort":"x"}', `${SPEC} number into Go struct field Spec.parentIP of type string`],
  ])("%j", (body, message) => {
    expect(() => decode(body)).toThrow(new RlkitError("PORT", message));
  });

  test("a byte that is no UTF-8, as Latin-1", () => {
    expect(() => decodeSpecs(Buffer.from([0xff]))).toThrow("invalid character 'ÿ' looking for beginning of value");
  });

  test("brackets without end are refused at a depth, not at the end of the stack", () => {
    expect(() => decode("[".repeat(10_000))).toThrow("unexpected EOF");
    expect(() => decode("[".repeat(1_000_000))).toThrow("invalid character '[' exceeded max depth");
    expect(() => decode('{"a":'.repeat(200_000))).toThrow("invalid character '{' exceeded max depth");
  });
});

describe("a body that RootlessKit takes", () => {
  test.each([
    ["null", {}],
    ["{}", {}],
    [" {} trailing", {}],
    ['{"p":1}}', {}],
    [
      '{"proto":"tcp","parentIP":"::1","parentPort":1,"childIP":"::","childPort":2}',
      {
        proto: "tcp",
        parentIP: "::1",
        parentPort: 1,
        childIP: "::",
        childPort: 2,
      },
    ],
    ['{"PROTO":"a","parentip":"b","ChildPort":3}', { proto: "a", parentIP: "b", childPort: 3 }],
    ['{"proto":"a","Proto":"b"}', { proto: "b" }],
    ['{"proto":"a","proto":null}', { proto: "a" }],
    ['{"parentPort":-1,"childPort":-0}', { parentPort: -1 }],
    ['{"parentPort":9223372036854775807}', { parentPort: 2 ** 63 }],
    ['{"proto":"\\u0074\\n\\"\\/","__proto__":{"proto":"x"},"constructor":1}', { proto: 't\n"/' }],
    ['{"proto":"\\ud83d\\ude00\\ud800x"}', { proto: "😀\ufffdx" }],
    ['{"unknown":{"a":[1.5e-3,{"b":null}],"proto":"no"},"proto":"é"}', { proto: "é" }],
  ])("%s", (body, spec) => {
    expect(decode(body)).toEqual({ ...empty, ...spec });
  });

  test("and an array, which is a set of specs", () => {
    expect(decode("[]")).toEqual([]);
    expect(decode('[{"proto":"tcp"},null]')).toEqual([{ ...empty, proto: "tcp" }, empty]);
    expect(() => decode('[{"proto":"tcp"},[]]')).toThrow(
      "json: cannot unmarshal array into Go value of type port.Spec",
    );
    expect(() => decode('[{"childPort":"1"}]')).toThrow("Go struct field Spec.childPort of type int");
  });
});

/** Text that comes near to JSON, and JSON with one byte changed. */
const nearlyJson = fc.oneof(
  fc.uint8Array({ maxLength: 40 }).map(Buffer.from),
  fc
    .array(fc.constantFrom(...'{}[],:"\\ \n-+.eE019ux', "null", "true", '"proto"', '"parentPort"'), { maxLength: 30 })
    .map((words) => Buffer.from(words.join(""))),
  fc.tuple(fc.json(), fc.nat(), fc.integer({ min: 0, max: 255 })).map(([text, at, byte]) => {
    const bytes = Buffer.from(text);
    bytes[at % bytes.length] = byte;
    return bytes;
  }),
);

test("whatever comes is decoded or refused in Go's words", () => {
  fc.assert(
    fc.property(nearlyJson, (body) => {
      try {
        decodeSpecs(body);
      } catch (error) {
        expect(error).toBeInstanceOf(RlkitError);
        expect((error as Error).message).toMatch(
          /^(EOF|unexpected EOF|invalid character '.{1,6}' (looking for|after|in) .+|json: cannot unmarshal .+)$/s,
        );
      }
    }),
    { numRuns: 2000 },
  );
});

test("JSON that JavaScript takes is taken, too, and its first value is what counts", () => {
  fc.assert(
    fc.property(
      fc.record({ proto: fc.string({ unit: "grapheme" }), x: fc.jsonValue() }),
      fc.string(),
      (value, rest) => {
        const text = `${JSON.stringify(value)} ${rest}`;
        expect(decode(text)).toEqual({ ...empty, proto: value.proto });
      },
    ),
  );
});

test("what is decoded the short way is what the long way makes of it", () => {
  const outcome = (text: string) => {
    try {
      return decode(text);
    } catch (error) {
      return (error as Error).message;
    }
  };
  const number = fc.oneof(fc.integer(), fc.double(), fc.constant(2 ** 60));
  const value = fc.oneof(fc.string(), number, fc.constant(null), fc.boolean());
  const names = ["proto", "parentIP", "parentPort", "childPort", "childIP", "ParentPort", "__proto__", "toString"];
  const spec = fc.oneof(
    fc.record({ proto: fc.constant("tcp"), parentIP: fc.string(), parentPort: fc.nat(), childPort: fc.nat() }),
    fc.dictionary(fc.constantFrom(...names), value),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(fc.oneof(spec, fc.array(spec, { maxLength: 3 })), (sent) => {
      const text = JSON.stringify(sent);
      expect(outcome(text)).toEqual(outcome(` ${text}`)); // a blank that JavaScript would not write
    }),
    { numRuns: 2000 },
  );
  expect(outcome('{"proto":1,"proto":"tcp"}')).toMatch("cannot unmarshal number");
});
