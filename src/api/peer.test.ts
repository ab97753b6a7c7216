import { Socket } from "node:net";
import { expect, test, vi } from "vitest";
import { isInside } from "./peer.ts";

const peer = vi.hoisted(() => ({ pid: 0 }));
vi.mock("../native/calls.ts", () => ({ peer: () => ({ uid: 0, pid: peer.pid }) }));

test.each([
  ["a program in this user namespace", process.pid, false],
  ["one that has ended", 2 ** 22 + 1, true],
  ["one that this process's /proc does not show", 0, true],
])("%s (pid %d) is inside: %s", (_, pid, inside) => {
  peer.pid = pid;
  expect(isInside(new Socket())).toBe(inside);
});
