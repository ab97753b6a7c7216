import { execFileSync } from "node:child_process";
import { mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";
import { RlkitError } from "../errors.ts";
import { frame } from "../plan/frames.ts";
import { FrameSocket } from "./frame-socket.ts";

const wire = vi.hoisted(() => ({ send: (_fd: number, _bytes: Buffer): void => {} }));
vi.mock("../native/calls.ts", () => ({ sendAll: (fd: number, bytes: Buffer) => wire.send(fd, bytes) }));

test("a request that nobody answers fails in time, and only that one", async () => {
  const directory = mkdtempSync(join(tmpdir(), "frames-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "fifo");
  execFileSync("mkfifo", [path]);
  // What is written to it comes back: each request is its own answer.
  const fd = openSync(path, "r+");
  let silent = 0;
  const socket = new FrameSocket(fd, {
    decode: (type, id) => ({ type, id }),
    lost: (why) => new RlkitError("PORT", why),
    interrupted: () => {},
    silent: () => {
      silent += 1;
    },
  });
  onTestFinished(() => socket.close());
  await socket.attach();
  const unanswered = socket.request((id) => frame(7, id), [], 60);
  await expect(unanswered).rejects.toThrow("it did not answer within 0.06 s");
  wire.send = (to, bytes) => void writeSync(to, bytes);
  expect(await socket.request((id) => frame(8, id), [], 1000)).toEqual({ type: 8, id: 2 });
  expect(silent).toBe(1);
});
