import { expect, test } from "vitest";
import { be32, cString, encodeMessages, Flag, u32 } from "./netlink-messages.ts";

test("messages are numbered, and what is in them begins at multiples of 4", () => {
  const bytes = encodeMessages([
    { type: 16, flags: Flag.request, body: Buffer.from([1, 2, 3]) },
    { type: 0x1234, flags: Flag.request | Flag.ack, body: u32(5), attributes: [[7, cString("lo")]] },
  ]);
  expect(bytes.toString("hex")).toBe(
    [
      ...["14000000", "1000", "0100", "01000000", "00000000", "01020300"],
      ...["1c000000", "3412", "0500", "02000000", "00000000", "05000000", "0700", "0700", "6c6f0000"],
    ].join(""),
  );
});

test("a nested attribute says so, and its length counts the padding inside it but not its own", () => {
  const nested = [
    4,
    [
      [1, cString("meta")],
      [2, be32(-150)],
    ],
  ] as const;
  const bytes = encodeMessages([{ type: 0, flags: 0, body: u32(0), attributes: [nested] }]);
  expect(bytes.subarray(20).toString("hex")).toBe(
    ["1800", "0480", "0900", "0100", "6d65746100000000", "0800", "0200", "ffffff6a"].join(""),
  );
});
