import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { log } from "../log.ts";
import type { Instruction } from "../plan/operations.ts";
import { HelperKeeper } from "./keeper.ts";

const SEGV = 11;

/** Takes the part of a helper: it does what it is told, and ends when the test says so. */
/** The host's name servers. */
let servers = "";

class FakeHelper {
  static all: FakeHelper[] = [];
  /** What those that are started from now on do. */
  static fails = false;
  readonly name = "slirp4netns";
  readonly nameServers = servers;
  readonly pid = 100 + FakeHelper.all.length;
  running = true;
  stopped = false;
  #lost: (status: number) => void = () => {};

  constructor() {
    FakeHelper.all.push(this);
  }

  async ready(): Promise<void> {
    if (FakeHelper.fails) throw new Error("slirp4netns ended with status 3: no way");
  }

  async watch(lost: (status: number) => void): Promise<void> {
    this.#lost = lost;
  }

  /** The guard says how, as a shell would. */
  end(signal = SEGV): void {
    this.running = false;
    this.#lost((128 + signal) << 8);
  }

  wake(): void {}
  async gone(): Promise<void> {}
  stop(): void {
    this.running = false;
    this.stopped = true;
  }
}

let keeper: HelperKeeper;
let lines: string[];
let ran: Instruction[];
let answers: boolean;
/** What init answers to each instruction. */
let result: number;
let replayed: number;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance", "Date"] });
  lines = [];
  for (const level of ["info", "warn", "error"] as const) {
    vi.spyOn(log, level).mockImplementation((text) => void lines.push(`${level} ${text}`));
  }
  [ran, answers, result, replayed] = [[], true, 0, 0];
  FakeHelper.all = [];
  FakeHelper.fails = false;
  keeper = new HelperKeeper({
    first: new FakeHelper(),
    start: () => new FakeHelper(),
    control: {
      run: async (instructions) => {
        ran.push(...instructions);
        return instructions.map(() => result);
      },
    },
    after: [{ op: ["link_up", "tap0"], why: "the tap carries packets from here on" }],
    ...{ init: 42, ifname: "tap0", gateway: "10.0.2.2", nameServers: () => servers },
    answers: { within: async () => answers },
  });
  keeper.replay = async () => {
    replayed += 1;
  };
  await keeper.watch();
});

afterEach(() => {
  keeper.stop();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

const latest = (): FakeHelper => FakeHelper.all.at(-1) as FakeHelper;
const pass = (milliseconds: number) => vi.advanceTimersByTimeAsync(milliseconds);

test("one that ends is started again at once, configured, and has its ports opened", async () => {
  latest().end();
  expect(keeper.running).toBe(false);
  await pass(0);
  expect(keeper).toMatchObject({ running: true, restarts: 1, degraded: undefined, pid: 101 });
  expect(ran.map(({ op }) => op)).toEqual([["link_up", "tap0"]]);
  expect(replayed).toBe(1);
  expect(lines).toEqual([
    "warn slirp4netns ended (signal SIGSEGV); starting it again",
    "info slirp4netns is back after 0.0 s",
  ]);
});

test("one that keeps ending is given more and more time; after five times the run is degraded, until it is back", async () => {
  FakeHelper.fails = true;
  latest().end();
  await pass(0);
  const counts = [];
  for (const wait of [99, 1, 199, 1, 399, 1]) {
    await pass(wait);
    counts.push(FakeHelper.all.length);
  }
  expect(counts).toEqual([2, 3, 3, 4, 4, 5]);
  const sentence = "slirp4netns failed 5 times within 60 s: no network inside until it comes back; next try in 10 s";
  expect(keeper).toMatchObject({ running: false, degraded: sentence });
  const failure = "warn slirp4netns ended with status 3: no way; starting it again";
  expect(lines.slice(1)).toEqual([failure, failure, failure, `error ${sentence}`]);
  await pass(29_999);
  expect(FakeHelper.all).toHaveLength(7);
  FakeHelper.fails = false;
  await pass(1);
  expect(keeper).toMatchObject({ running: true, degraded: undefined, restarts: 7 });
  expect(lines.at(-1)).toBe("info slirp4netns is back after 30.7 s");
  expect(lines).toHaveLength(6); // the error once
});

test("one that does not answer twice is ended, and another started", async () => {
  await pass(60_000);
  expect(lines).toEqual([]);
  answers = false;
  await pass(5000);
  expect(FakeHelper.all.map(({ stopped }) => stopped)).toEqual([true, false]);
  expect(lines[0]).toBe("warn slirp4netns does not answer (stopped, or hung): starting it again");
});

test("one that knows of other name servers than the host has now is started again", async () => {
  servers = "nameserver 192.0.2.1";
  await pass(5000);
  expect(lines[0]).toBe(
    "warn slirp4netns does not know of the host's new name servers (/etc/resolv.conf): starting it again",
  );
  await pass(60_000);
  expect(keeper.restarts).toBe(1);
});

test("an answer that is missed once means nothing", async () => {
  const within = vi.fn().mockResolvedValue(true).mockResolvedValueOnce(false);
  keeper.stop();
  const other = new HelperKeeper({
    ...{ first: new FakeHelper(), start: () => new FakeHelper(), control: { run: async () => [] }, after: [] },
    ...{ init: 42, ifname: "tap0", gateway: "10.0.2.2", answers: { within } },
  });
  await other.watch();
  await pass(5000);
  expect(within).toHaveBeenCalledTimes(2);
  expect(lines).toEqual([]);
  other.stop();
});

test("one that can't be configured is no use", async () => {
  result = -19;
  latest().end();
  await pass(0);
  expect(latest().stopped).toBe(true);
  expect(lines[1]).toMatch(/^warn slirp4netns does not help: cannot .*tap0.*: ENODEV; starting it again$/);
});

test("ports that can't be opened again do not keep the network away", async () => {
  keeper.replay = () => Promise.reject(new Error("no socket"));
  latest().end();
  await pass(0);
  expect(keeper.running).toBe(true);
  expect(lines.at(-2)).toBe("error ports are not published any more: Error: no socket");
});

test("one that ends while its ports are opened counts as a failed start", async () => {
  keeper.replay = async () => latest().end();
  latest().end();
  await pass(0);
  expect(keeper.running).toBe(false);
  expect(lines[1]).toBe("warn slirp4netns ended at once; starting it again");
  keeper.replay = async () => {};
  await pass(100);
  expect(keeper).toMatchObject({ running: true, restarts: 2 });
});

test("nothing is started after stop, not even what was waited for", async () => {
  FakeHelper.fails = true;
  latest().end();
  await pass(50);
  keeper.stop();
  const { length } = FakeHelper.all;
  await pass(60_000);
  expect(FakeHelper.all).toHaveLength(length);
  expect(latest().stopped).toBe(true);
  expect(lines.filter((line) => line.includes("is back"))).toEqual([]);
});
