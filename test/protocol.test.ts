import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { RlkitError } from "../src/errors.ts";
import { decodeMessages, encodeRun, encodeSpawn, type Message } from "../src/plan/encoding.ts";
import { cutFrames } from "../src/plan/frames.ts";
import { fieldTypes, type Operation, operationNames } from "../src/plan/operations.ts";
import { decodePortd, encodeListen } from "../src/ports/portd-encoding.ts";
import { decodeRun, encodeText, messageOf, portdMessageOf, vectors } from "./helpers/protocol.ts";

const all = vectors();
const requests = all.filter(({ text }) => /^(run|spawn|signal|watch|listen|close|count|hold) /.test(text));
const messages = all.filter(({ text }) => /^(reply|exited|notified) /.test(text));
const replies = messages.filter(({ text }) => text.startsWith("reply "));
const counts = all.filter(({ text }) => text.startsWith("counts "));

describe("the bytes that native/protocol.h's tests read", () => {
  test.each(requests)("are written: $text", ({ bytes, text }) => {
    expect(encodeText(text).toString("hex")).toBe(bytes.toString("hex"));
  });

  test.each(messages)("are read: $text", ({ bytes, text }) => {
    expect(decodeMessages(bytes)).toEqual({ messages: [messageOf(text)], rest: Buffer.alloc(0) });
  });

  test.each(counts)("are read from portd: $text", ({ bytes, text }) => {
    expect(cutFrames(bytes, decodePortd)).toEqual({ messages: [portdMessageOf(text)], rest: Buffer.alloc(0) });
  });

  test.each(replies)("are read from portd as from init: $text", ({ bytes, text }) => {
    expect(cutFrames(bytes, decodePortd)).toEqual({ messages: [messageOf(text)], rest: Buffer.alloc(0) });
  });

  test("are all of the one kind or of the other", () => {
    expect(requests.length + messages.length + counts.length).toBe(all.length);
    expect(messages.length).toBeGreaterThan(3);
    expect(counts.length).toBeGreaterThan(1);
  });

  test("include every operation", () => {
    const shown = new Set(
      requests
        .filter(({ text }) => text.startsWith("run "))
        .flatMap(({ bytes }) => decodeRun(bytes).instructions.map(({ op }) => op[0])),
    );
    expect([...shown].sort()).toEqual([...operationNames].sort());
  });
});

test("native/protocol.h lists the same operations with the same fields in the same order", () => {
  const header = readFileSync(join(import.meta.dirname, "..", "native", "protocol.h"), "utf8");
  const listed = Array.from(header.matchAll(/^\tOP\((\w+), "([bils]*)"\)/gm), ([, name, fields]) => [name, fields]);
  expect(listed).toEqual(operationNames.map((name) => [name, fieldTypes(name)]));
});

describe("messages", () => {
  const stream = Buffer.concat(messages.map(({ bytes }) => bytes));
  const expected = messages.map(({ text }) => messageOf(text));

  test("are read one after another", () => {
    expect(decodeMessages(stream)).toEqual({ messages: expected, rest: Buffer.alloc(0) });
  });

  test("are read the same wherever the stream is cut in two", () => {
    for (let cut = 0; cut <= stream.length; cut += 1) {
      const first = decodeMessages(stream.subarray(0, cut));
      const second = decodeMessages(Buffer.concat([first.rest, stream.subarray(cut)]));
      expect([...first.messages, ...second.messages], `cut at ${cut}`).toEqual(expected);
      expect(second.rest.length).toBe(0);
    }
  });

  test("are read the same byte by byte", () => {
    let rest = Buffer.alloc(0);
    const read: Message[] = [];
    for (const byte of stream) {
      const step = decodeMessages(Buffer.concat([rest, Buffer.from([byte])]));
      read.push(...step.messages);
      rest = Buffer.from(step.rest);
    }
    expect(read).toEqual(expected);
  });

  test("of an unknown type are an error", () => {
    const bytes = Buffer.from("0500000063ffffffff", "hex");
    expect(() => decodeMessages(bytes)).toThrow("unknown type 99");
    expect(() => cutFrames(bytes, decodePortd)).toThrow("unknown type 99");
  });
});

const text = fc.string({ unit: "binary" }).map((value) => value.toWellFormed().replaceAll("\0", ""));
const fields = {
  s: text,
  i: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  l: fc.maxSafeNat(),
  b: fc.uint8Array().map((bytes) => Buffer.from(bytes)),
};
const operation = fc
  .constantFrom(...operationNames)
  .chain((name) =>
    fc
      .tuple(...[...fieldTypes(name)].map((type): fc.Arbitrary<unknown> => fields[type as keyof typeof fields]))
      .map((values) => [name, ...values] as unknown as Operation),
  );
const listen = { port: 1, kind: "stream", keepClient: false, patience: 0, targetPort: 80, standIn: "" } as const;
const instruction = fc.record({ op: operation, mayFail: fc.boolean(), ifFailed: fc.boolean() });
const plan = fc.array(instruction, { maxLength: 40 });

describe("whatever the operations say", () => {
  test("init reads what was written", () => {
    fc.assert(
      fc.property(fc.nat(), plan, (id, instructions) => {
        expect(decodeRun(encodeRun(id, instructions))).toEqual({ id, instructions });
      }),
      { numRuns: 500 },
    );
  });

  test("a NUL in a string is refused: C would see a shorter one", () => {
    fc.assert(
      fc.property(text, text, (before, after) => {
        const value = `${before}\0${after}`;
        expect(() => encodeRun(1, [{ op: ["rmdir", value] }])).toThrow(RlkitError);
        expect(() => encodeRun(1, [{ op: ["write_file", "/a", 1, 0o600, value] }])).toThrow("NUL");
        expect(() => encodeSpawn(1, { argv: ["a", value], env: [] })).toThrow(RlkitError);
        expect(() => encodeSpawn(1, { argv: ["a"], env: [value] })).toThrow(RlkitError);
        expect(() => encodeSpawn(1, { argv: ["a"], env: [], cwd: value })).toThrow(RlkitError);
        expect(() => encodeListen(1, { ...listen, target: value })).toThrow(RlkitError);
      }),
    );
  });

  test("flags with the highest bit set keep their bits", () => {
    const [written] = decodeRun(encodeRun(1, [{ op: ["unshare", 0x80000000] }])).instructions;
    expect(written?.op).toEqual(["unshare", 0x80000000 | 0]);
  });
});
