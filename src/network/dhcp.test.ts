import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decodeAnswer, encodeQuestion, type Question } from "./dhcp.ts";

const mac = Buffer.from("021122334455", "hex");
const id = 0x12345678;

/** An answer as a server sends it: its address field, then options as [number, …bytes]. */
function answer(address: string, options: number[][], change: (message: Buffer) => void = () => {}): Buffer {
  const head = Buffer.alloc(240);
  head.writeUInt8(2, 0);
  head.writeUInt8(1, 1);
  head.writeUInt8(6, 2);
  head.writeUInt32BE(id, 4);
  head.set(address.split(".").map(Number), 16);
  head.set(mac, 28);
  head.writeUInt32BE(0x63825363, 236);
  change(head);
  return Buffer.concat([
    head,
    Buffer.from([...options.flatMap(([code = 0, ...value]) => [code, value.length, ...value]), 255]),
  ]);
}

const offer = [
  [53, 2],
  [54, 10, 0, 3, 1],
];
const all = [...offer, [1, 255, 255, 255, 0], [3, 10, 0, 3, 1], [6, 10, 0, 3, 1, 9, 9, 9, 9], [51, 0, 0, 14, 16]];

describe("a question", () => {
  const first: Question = { type: "discover", id, mac, seconds: 3 };

  test("is a BOOTP request of 300 bytes or more, for an answer to everybody", () => {
    const message = encodeQuestion(first);
    expect(message.length).toBeGreaterThanOrEqual(300);
    expect(message.subarray(0, 12).toString("hex")).toBe("010106001234567800038000");
    expect(message.subarray(28, 34)).toEqual(mac);
    expect(message.subarray(236, 243).toString("hex")).toBe("63825363350101");
  });

  test("that takes an offer up names its address and its server", () => {
    const message = encodeQuestion({ ...first, type: "request", accept: { address: "10.0.3.77", server: "10.0.3.1" } });
    expect(message.subarray(240, 255).toString("hex")).toBe("35010332040a00034d36040a000301");
  });

  test("for more time names the address that it has, and no server", () => {
    const message = encodeQuestion({ ...first, type: "request", renew: "10.0.3.77" });
    expect(message.subarray(12, 16).toString("hex")).toBe("0a00034d");
    expect(message.subarray(240, 245).toString("hex")).toBe("3501033704");
  });
});

describe("an answer", () => {
  test("says what the client gets", () => {
    expect(decodeAnswer(answer("10.0.3.77", all), { id, mac })).toEqual({
      type: "offer",
      terms: {
        address: "10.0.3.77",
        prefix: 24,
        router: "10.0.3.1",
        nameServers: ["10.0.3.1", "9.9.9.9"],
        server: "10.0.3.1",
        lease: 3600,
      },
    });
  });

  test("without more than an address and its server: a network of 256, an hour", () => {
    expect(decodeAnswer(answer("10.0.3.77", offer), { id, mac })).toMatchObject({
      terms: { prefix: 24, router: undefined, nameServers: [], lease: 3600 },
    });
  });

  test("may be a refusal", () => {
    expect(decodeAnswer(answer("0.0.0.0", [[53, 6]]), { id, mac })).toEqual({ type: "nak" });
  });

  test.each<[string, Buffer]>([
    ["to another exchange", answer("10.0.3.77", all, (head) => head.writeUInt32BE(1, 4))],
    ["to another client", answer("10.0.3.77", all, (head) => head.writeUInt8(9, 33))],
    ["that is a question", answer("10.0.3.77", all, (head) => head.writeUInt8(1, 0))],
    ["of BOOTP, without the cookie", answer("10.0.3.77", all, (head) => head.writeUInt32BE(0, 236))],
    ["of no type", answer("10.0.3.77", all.slice(1))],
    ["without an address", answer("0.0.0.0", all)],
    ["that does not say whose it is", answer("10.0.3.77", [[53, 2]])],
    ["that is cut off", answer("10.0.3.77", all).subarray(0, 200)],
  ])("%s is none", (_, datagram) => {
    expect(decodeAnswer(datagram, { id, mac })).toBeUndefined();
  });

  test("of any bytes does no harm", () => {
    const head = answer("10.0.3.77", []).subarray(0, 240);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        decodeAnswer(Buffer.from(bytes), { id, mac });
        decodeAnswer(Buffer.concat([head, bytes]), { id, mac });
      }),
    );
  });
});
