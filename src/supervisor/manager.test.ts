import { beforeEach, expect, test, vi } from "vitest";
import { Manager, parseNotification } from "./manager.ts";

const sent: string[] = [];
vi.mock("../native/calls.ts", () => ({
  sendNotify(socket: string, message: string) {
    if (socket === "/gone") throw new Error("ECONNREFUSED");
    sent.push(message);
  },
  isTerminal: () => false,
}));

beforeEach(() => {
  sent.length = 0;
});

test("what sd_notify(3) asks for, with rlkit as the main process", () => {
  const manager = new Manager("/run/notify");
  manager.ready();
  manager.reloading();
  manager.stopping(30_000);
  manager.stopping(undefined);
  manager.extend(1.5);
  manager.alive();
  expect(sent).toEqual([
    `READY=1\nMAINPID=${process.pid}`,
    expect.stringMatching(/^RELOADING=1\nMONOTONIC_USEC=\d+$/),
    "STOPPING=1\nEXTEND_TIMEOUT_USEC=30000000",
    "STOPPING=1",
    "EXTEND_TIMEOUT_USEC=1500",
    "WATCHDOG=1",
  ]);
});

test("a status is sent when it differs from the last", () => {
  const manager = new Manager("/run/notify");
  for (const text of ["a", "a", "b", "a"]) manager.status(text);
  expect(sent).toEqual(["STATUS=a", "STATUS=b", "STATUS=a"]);
});

test("without a service manager, or with one that is gone, nothing is sent and nothing fails", () => {
  new Manager(undefined).ready();
  new Manager("/gone").ready();
  expect(sent).toEqual([]);
});

test("a notification's assignments; what is none is left out, and the last one of a name counts", () => {
  const said = parseNotification("READY=1\nSTATUS=up: a=b\n\nnonsense\nREADY=0\nEMPTY=");
  expect([...said]).toEqual([
    ["READY", "0"],
    ["STATUS", "up: a=b"],
    ["EMPTY", ""],
  ]);
});
