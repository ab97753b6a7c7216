import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { RlkitError } from "../errors.ts";
import type { Policy } from "./states.ts";
import type { Phase } from "./status.ts";
import { type Hands, Supervisor } from "./supervisor.ts";

const logged: string[] = [];
vi.mock("../log.ts", () => {
  const line = (level: string) => (text: string) => void logged.push(`${level}: ${text}`);
  return { log: { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") } };
});

const [KILL, TERM, HUP] = [9, 15, 1];

const policyOf = (changes: Partial<Policy> = {}): Policy => ({
  name: "dockerd",
  saysReady: true,
  restart: "on-failure",
  max: undefined,
  delay: 100,
  burst: { count: 3, within: 60_000 },
  stopTimeout: 30_000,
  ...changes,
});

/** Hands that keep what they are told to do, and targets that end when the test says so. */
class FakeHands implements Hands {
  readonly done: string[] = [];
  readonly phases: Phase[] = [];
  /** Programs that can't be started. */
  readonly broken = new Set<string>();
  /** Ends the target that was started last, with a wait status. */
  end: (status: number) => void = () => {};
  #pid = 100;

  async start(program: string, ended: (status: number) => void): Promise<number> {
    this.done.push(`start ${program}`);
    if (this.broken.has(program)) throw new RlkitError("COMMAND", `cannot run ${program}`);
    this.end = ended;
    this.#pid += 1;
    return this.#pid;
  }

  signal(pid: number, signo: number): void {
    this.done.push(`signal ${pid} ${signo}`);
  }

  async prepareEnd(): Promise<void> {
    this.done.push("prepare end");
  }

  async cleanUp(): Promise<void> {
    this.done.push("clean up");
  }

  entered(phase: Phase): void {
    this.phases.push(phase);
  }
}

let hands: FakeHands;
let supervisor: Supervisor;

function supervise(changes: Partial<Policy> = {}): void {
  hands = new FakeHands();
  supervisor = new Supervisor(policyOf(changes), hands, { program: "/old/dockerd", pid: 7 });
}

const elapse = (milliseconds: number): Promise<unknown> => vi.advanceTimersByTimeAsync(milliseconds);

beforeEach(() => {
  vi.useFakeTimers();
  logged.length = 0;
  supervise();
});

afterEach(() => {
  supervisor.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

test("a target that fails is cleaned up after, and started again after the pause", async () => {
  supervisor.take({ type: "ready" });
  await elapse(5000);
  supervisor.take({ type: "exited", status: KILL });
  expect(supervisor.target).toBeUndefined();
  await elapse(99);
  expect(hands.done).toEqual(["clean up"]);
  await elapse(1);
  expect(hands.done).toEqual(["clean up", "start /old/dockerd"]);
  expect([supervisor.state.phase, supervisor.target]).toEqual(["starting", 101]);
  supervisor.take({ type: "ready" });
  expect(hands.phases).toEqual(["ready", "restarting", "starting", "ready"]);
});

test("a target that ends while its start is being told is not lost", async () => {
  supervisor.take({ type: "ready" });
  hands.start = async (_, ended) => {
    ended(KILL);
    return 200;
  };
  supervisor.take({ type: "exited", status: KILL });
  await elapse(100);
  expect(supervisor.state).toMatchObject({ phase: "restarting", restarts: 2 });
  expect(supervisor.target).toBeUndefined();
});

test("after too many failures it is over, with the last status", async () => {
  let over = false;
  supervisor.finished.then(() => {
    over = true;
  });
  for (let i = 0; i < 3; i += 1) {
    supervisor.take({ type: "exited", status: (i + 1) << 8 });
    await elapse(1000);
  }
  expect([over, supervisor.state.phase, supervisor.state.lastStatus]).toEqual([true, "failed", 3 << 8]);
  expect(hands.done.filter((what) => what.startsWith("start"))).toHaveLength(2);
});

describe("the end", () => {
  test("is prepared, then asked for; what does not end in time is killed", async () => {
    supervisor.take({ type: "ready" });
    supervisor.take({ type: "stop" });
    await elapse(0);
    expect(hands.done).toEqual(["prepare end", `signal 7 ${TERM}`]);
    await elapse(30_000);
    expect(hands.done.at(-1)).toBe(`signal 7 ${KILL}`);
    supervisor.take({ type: "exited", status: KILL });
    await supervisor.finished;
  });

  test("in the pause before a start nothing is started any more", async () => {
    supervisor.take({ type: "ready" });
    supervisor.take({ type: "exited", status: KILL });
    supervisor.take({ type: "stop" });
    await supervisor.finished;
    await elapse(10_000);
    expect(hands.done).toEqual(["clean up"]);
  });

  test("other signals go through, but not to nobody", () => {
    supervisor.take({ type: "signal", signo: HUP });
    supervisor.take({ type: "exited", status: KILL });
    supervisor.take({ type: "signal", signo: HUP });
    expect(hands.done.filter((what) => what.startsWith("signal"))).toEqual([`signal 7 ${HUP}`]);
  });

  test("after close nothing happens", async () => {
    supervisor.take({ type: "exited", status: KILL });
    supervisor.close();
    await elapse(10_000);
    supervisor.take({ type: "ready" });
    expect(hands.done).toEqual(["clean up"]);
    expect(supervisor.state.phase).toBe("restarting");
  });
});

describe("a restart on demand", () => {
  beforeEach(() => elapse(500)); // of the first run

  /** The target, told to end, does so. */
  async function endsAsTold(): Promise<void> {
    await elapse(1000);
    if (supervisor.state.restarts === 0 && hands.done.at(-1) === `signal 7 ${TERM}`)
      supervisor.take({ type: "exited", status: 0 });
    else hands.end(0);
    await elapse(0);
  }

  test("resolves when the next run is ready", async () => {
    supervisor.take({ type: "ready" });
    const restarted = supervisor.restart();
    await endsAsTold();
    expect(hands.done).toEqual([`signal 7 ${TERM}`, "clean up", "start /old/dockerd"]);
    let over = false;
    const done = restarted.then(() => {
      over = true;
    });
    await elapse(1000);
    expect(over).toBe(false);
    supervisor.take({ type: "ready" });
    await done;
  });

  test("into another program: that is the one from there on", async () => {
    supervisor.take({ type: "ready" });
    const upgraded = supervisor.restart("/new/dockerd");
    await endsAsTold();
    supervisor.take({ type: "ready" });
    await upgraded;
    expect([supervisor.program, hands.done.at(-1)]).toEqual(["/new/dockerd", "start /new/dockerd"]);
    hands.end(KILL);
    await elapse(100);
    expect(hands.done.at(-1)).toBe("start /new/dockerd");
  });

  test("into one that ends before it is ready: back to the former, and that is told", async () => {
    supervisor.take({ type: "ready" });
    const upgraded = supervisor.restart("/new/dockerd");
    const refused = expect(upgraded).rejects.toThrow(
      "/new/dockerd did not work: it ended (status 1); /old/dockerd runs again",
    );
    await endsAsTold();
    hands.end(1 << 8);
    await elapse(1000);
    expect(hands.done.at(-1)).toBe("start /old/dockerd");
    supervisor.take({ type: "ready" });
    await refused;
    expect(logged).toContain("warn: /new/dockerd ended before it was ready: going back to /old/dockerd");
  });

  test("into one that can't be started: back to the former", async () => {
    supervisor.take({ type: "ready" });
    hands.broken.add("/new/dockerd");
    const refused = expect(supervisor.restart("/new/dockerd")).rejects.toThrow(
      "/new/dockerd did not work: it could not be started (dockerd: cannot run /new/dockerd); /old/dockerd runs again",
    );
    await endsAsTold();
    await elapse(1000);
    supervisor.take({ type: "ready" });
    await refused;
  });

  test("of a target that then does not get ready any more is an error", async () => {
    supervisor.take({ type: "ready" });
    const refused = expect(supervisor.restart()).rejects.toThrow(
      "dockerd did not get ready again: it ended (status 1)",
    );
    await endsAsTold();
    for (let i = 0; i < 3; i += 1) {
      hands.end(1 << 8);
      await elapse(1000);
    }
    await refused;
    expect(supervisor.state.phase).toBe("failed");
  });

  test("of one that is ending is refused", async () => {
    supervisor.take({ type: "stop" });
    await expect(supervisor.restart()).rejects.toThrow("dockerd is ending already");
  });
});

describe("settled", () => {
  test("resolves at once when the target is ready, later when it gets so, or in the end when it does not", async () => {
    let settled = 0;
    const wait = async (milliseconds: number): Promise<void> => {
      await supervisor.settled(milliseconds);
      settled += 1;
    };
    void wait(5000);
    void wait(100);
    await elapse(100);
    expect(settled).toBe(1);
    supervisor.take({ type: "ready" });
    await elapse(0);
    expect(settled).toBe(2);
    await wait(5000);
  });

  test("resolves when nothing more is to be expected", async () => {
    const settled = supervisor.settled(60_000);
    supervisor.take({ type: "stop" });
    await settled;
  });
});
