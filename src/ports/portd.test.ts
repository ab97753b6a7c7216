import { closeSync, openSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Control } from "../launch/control.ts";
import { log } from "../log.ts";
import { Portd } from "./portd.ts";
import type { ListenRequest } from "./portd-encoding.ts";

interface FakePeer {
  lost(why: string): Error;
  silent?(): void;
}

/** Takes the part of a portd and its socket: answers each frame with success, and notes its type and its first number. */
class FakeSocket {
  static all: FakeSocket[] = [];
  readonly frames: string[] = [];
  hangs = false;
  readonly #peer: FakePeer;
  readonly #waiting = new Set<(error: Error) => void>();

  constructor(fd: number, peer: FakePeer) {
    closeSync(fd);
    this.#peer = peer;
    FakeSocket.all.push(this);
  }

  async attach() {}

  request(encode: (id: number) => Buffer, _fds: unknown, within = 30_000) {
    const frame = encode(1);
    if (!this.hangs) this.frames.push(`${frame[4]} ${frame.length > 9 ? frame.readUInt32LE(9) : ""}`.trim());
    if (!this.hangs) return Promise.resolve({ type: "reply", id: 1, results: [0] });
    return new Promise((_, reject) => {
      this.#waiting.add(reject);
      setTimeout(() => {
        reject(this.#peer.lost("it did not answer"));
        this.#peer.silent?.();
      }, within).unref();
    });
  }

  close() {
    for (const reject of this.#waiting) reject(this.#peer.lost("it has ended"));
  }
}

// Asked for when it is used, not when the module is loaded: that is before this file's first line.
vi.mock("../launch/frame-socket.ts", () => ({
  get FrameSocket() {
    return FakeSocket;
  },
}));
vi.mock("../native/calls.ts", () => ({
  socketpair: () => [openSync("/dev/null", "r"), openSync("/dev/null", "r")],
}));

const request: ListenRequest = {
  ...{ port: 7, kind: "stream", keepClient: false, patience: 300 },
  ...{ target: "127.0.0.1", targetPort: 80, standIn: "" },
};

let ends: ((status: number) => void)[];
let portd: Portd;
let refusing: boolean;
let warnings: string[];
let errors: string[];

/** Pids are 1, 2, 3. */
const control = {
  async spawn() {
    if (refusing) throw new Error("no more processes");
    return FakeSocket.all.length;
  },
  onEnd(pid: number, listener: (status: number) => void) {
    ends[pid - 1] = listener;
  },
  async signal(pid: number, signo: number) {
    expect(signo).toBe(9);
    ends[pid - 1]?.(signo);
  },
} as unknown as Control;

beforeEach(async () => {
  [ends, FakeSocket.all, warnings, errors, refusing] = [[], [], [], [], false];
  vi.spyOn(log, "warn").mockImplementation((text) => void warnings.push(text));
  vi.spyOn(log, "error").mockImplementation((text) => void errors.push(text));
  portd = new Portd(control, () => {});
  const nothing = openSync("/dev/null", "r");
  portd.replay = (plane) => plane.listen(request, nothing);
  await portd.attach();
  await portd.listen(request, nothing);
});

afterEach(async () => {
  await portd.stop();
  vi.restoreAllMocks();
});

const end = (index: number): void => ends[index]?.(9);
const frames = (index: number) => FakeSocket.all[index]?.frames;
const served = (index: number) =>
  vi.waitFor(() => expect(frames(index)).toContain("8 7"), { timeout: 3000, interval: 5 });

describe("hold", () => {
  test("is told to the portd that runs, and to the next one before its ports", async () => {
    await portd.hold(60_000);
    await vi.waitFor(() => expect(frames(0)).toEqual(["8 7", "11 60000"]));
    end(0);
    await served(1);
    expect(frames(1)).toEqual(["11 60000", "8 7"]);
    await portd.hold(0);
    await vi.waitFor(() => expect(frames(1)?.at(-1)).toBe("11 0"));
  });
});

describe("a portd that does not answer", () => {
  test("is ended, started again, and told of its ports", async () => {
    expect(await portd.check(3000)).toBe(true);
    (FakeSocket.all[0] as FakeSocket).hangs = true;
    const asking = portd.counters().catch((error: Error) => error.message);
    expect(await portd.check(100)).toBe(false);
    await served(1);
    expect(warnings).toEqual(["rlkit-ns portd does not answer: starting it again"]);
    expect(await asking).toMatch("it has ended");
    expect([portd.restarts, portd.running, await portd.check(3000)]).toEqual([1, true, true]);
  });
});

describe("a portd that ends", () => {
  test("is started again, later each time, and said to fail after five times", async () => {
    for (const [i, delay] of [0, 100, 200, 400].entries()) {
      await served(i);
      const ended = performance.now();
      end(i);
      await served(i + 1);
      const gap = performance.now() - ended;
      expect(gap).toBeGreaterThanOrEqual(delay - 5);
      expect(gap).toBeLessThan(delay + 90);
    }
    expect(portd.degraded).toBeUndefined();
    end(4);
    await vi.waitFor(() =>
      expect(errors).toEqual([expect.stringMatching(/^rlkit-ns portd failed 5 times within 60 s/)]),
    );
    expect(portd.degraded).toBe(errors[0]);
  });

  test("and can't be started is tried again", async () => {
    refusing = true;
    end(0);
    await vi.waitFor(() => expect(errors).toContain("published ports are not served: no more processes"));
    refusing = false;
    await served(2); // the second socket had nobody at its other end
    expect(portd.running).toBe(true);
  });
});
