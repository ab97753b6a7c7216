import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeEnd, type Effect, type Event, initialState, next, type Policy, type State } from "./states.ts";
import type { Phase } from "./status.ts";

const [INT, KILL, QUIT, TERM, HUP] = [2, 9, 3, 15, 1];

const policyOf = (changes: Partial<Policy> = {}): Policy => ({
  name: "dockerd",
  saysReady: true,
  restart: "on-failure",
  max: undefined,
  delay: 100,
  burst: { count: 5, within: 60_000 },
  stopTimeout: 30_000,
  ...changes,
});

const exited = (status: number): Event => ({ type: "exited", status });
const code = (status: number): Event => exited(status << 8);
const signal = (signo: number): Event => ({ type: "signal", signo });
const timeout = (timer: "start" | "kill"): Event => ({ type: "timeout", timer });

/** One effect in a few words: `signal 15`, `set kill 30000`, `warn …`. */
function words(effect: Effect): string {
  switch (effect.do) {
    case "signal":
    case "end":
      return `${effect.do} ${effect.signo}`;
    case "set-timer":
      return `set ${effect.timer} ${effect.milliseconds}`;
    case "cancel-timer":
      return `cancel ${effect.timer}`;
    case "log":
      return `${effect.level}: ${effect.text}`;
    default:
      return effect.do;
  }
}

/** A target to which things happen at their times (milliseconds from its start). */
function story(policy: Policy, ...events: readonly (readonly [at: number, event: Event])[]) {
  let state = initialState(0, policy);
  let effects: string[] = [];
  for (const [at, event] of events) {
    const after = next(state, event, at, policy);
    [state, effects] = [after.state, after.effects.map(words)];
  }
  return { state, effects };
}

const READY: readonly [number, Event] = [600, { type: "ready" }];

/** A state of each phase. */
const states: Record<Phase, (policy?: Policy) => State> = {
  starting: (policy = policyOf()) => initialState(0, policy),
  ready: (policy = policyOf()) => story(policy, READY).state,
  restarting: (policy = policyOf()) => story(policy, READY, [5000, code(1)]).state,
  stopping: (policy = policyOf()) => story(policy, READY, [5000, { type: "stop" }]).state,
  failed: (policy = policyOf({ burst: { count: 1, within: 60_000 } })) => story(policy, [10, code(1)]).state,
};

const phases = Object.keys(states) as Phase[];

test("each of these states is of its phase", () => {
  expect(phases.map((phase) => states[phase]().phase)).toEqual(phases);
});

describe("readiness", () => {
  test("is told with the time that it took; the second time as again", () => {
    expect(story(policyOf(), READY).effects).toEqual(["info: dockerd is ready after 0.6 s"]);
    const again = story(policyOf(), READY, [5000, code(1)], [5100, { type: "started" }], [5400, { type: "ready" }]);
    expect(again.effects).toEqual(["info: dockerd is ready again after 0.3 s"]);
    expect(again.state).toMatchObject({ phase: "ready", readyAt: 5400, readyAfter: 300, restarts: 1 });
  });

  test("of a target that doesn't say so is nothing to tell", () => {
    const { state, effects } = story(policyOf({ saysReady: false }), [0, { type: "ready" }]);
    expect([state.phase, effects]).toEqual(["ready", []]);
  });

  test("said twice changes nothing, nor does what comes when it is to end", () => {
    for (const phase of ["ready", "stopping"] as const) {
      const before = states[phase]();
      expect(next(before, { type: "ready" }, 9000, policyOf())).toEqual({ state: before, effects: [] });
    }
  });
});

describe("the end of a run", () => {
  test.each<[Policy["restart"], Event, boolean]>([
    ["no", code(1), false],
    ["no", code(0), false],
    ["on-failure", code(1), true],
    ["on-failure", exited(KILL), true],
    ["on-failure", code(0), false],
    ["always", code(0), true],
    ["always", code(1), true],
    ["unless-stopped", code(0), true],
  ])("--restart=%s, %j: starts again: %s", (restart, event, again) => {
    const { state, effects } = story(policyOf({ restart }), READY, [5000, event]);
    expect(state.phase).toBe(again ? "restarting" : "stopping");
    expect(effects.includes("finish")).toBe(!again);
    expect(effects.includes("set start 100")).toBe(again);
    expect(state.lastStatus).toBe(event.type === "exited" ? event.status : 0);
  });

  test("one line says what ended, how, after how long, and when it runs again; what it left is ended first", () => {
    expect(story(policyOf(), READY, [5000, exited(KILL)]).effects).toEqual([
      "cancel kill",
      "warn: dockerd ended (signal SIGKILL) after 5.0 s; it starts again in 0.1 s (restart 1)",
      "clean-up",
      "set start 100",
    ]);
  });

  test("on-failure:2 starts it twice", () => {
    const policy = policyOf({ max: 2, saysReady: false });
    const run = (at: number, end: Event) =>
      [
        [at, { type: "started" }],
        [at, { type: "ready" }],
        [at + 5000, end],
      ] as const;
    const ready = [0, { type: "ready" }] as const;
    expect(story(policy, ready, [5000, code(1)], ...run(6000, code(1))).state.phase).toBe("restarting");
    const third = story(policy, ready, [5000, code(1)], ...run(6000, code(1)), ...run(12_000, code(1)));
    expect(third.state.phase).toBe("stopping");
    expect(third.state.failures).toBe(3);
  });

  test("its reasons are kept, the last ten", () => {
    let state = states.ready(policyOf({ restart: "always", burst: { count: 0, within: 1 } }));
    for (let i = 0; i < 12; i += 1) {
      const at = 10_000 * (i + 1);
      for (const event of [code(i), { type: "started" }, { type: "ready" }] as Event[]) {
        state = next(state, event, at, policyOf({ restart: "always", burst: { count: 0, within: 1 } })).state;
      }
    }
    expect(state.reasons.map(({ reason }) => reason).slice(-2)).toEqual(["ended (status 10)", "ended (status 11)"]);
    expect(state.reasons).toHaveLength(10);
  });
});

/** The pauses before the starts of a target that ends so many times, so long after each start; ready in between or not. */
function pauses(policy: Policy, count: number, ready: number | undefined, ends: number): number[] {
  let state = initialState(0, policy);
  const found: number[] = [];
  let now = 0;
  for (let i = 0; i < count; i += 1) {
    if (ready !== undefined) state = next(state, { type: "ready" }, now + ready, policy).state;
    now += ends;
    const ended = next(state, code(1), now, policy);
    const set = ended.effects.find((effect) => effect.do === "set-timer");
    found.push(set?.do === "set-timer" ? set.milliseconds : Number.NaN);
    now += found.at(-1) ?? 0;
    state = next(ended.state, { type: "started" }, now, policy).state;
  }
  return found;
}

describe("the pause before a start", () => {
  const patient = { burst: { count: 0, within: 1 } };

  test("doubles up to 30 s while it does not get ready", () => {
    const expected = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000];
    expect(pauses(policyOf(patient), 11, undefined, 10)).toEqual(expected);
  });

  test("is one second at most after a run that had been ready", () => {
    expect(pauses(policyOf(patient), 7, 100, 200)).toEqual([100, 200, 400, 800, 1000, 1000, 1000]);
  });

  test("begins anew after a second of readiness", () => {
    expect(pauses(policyOf(patient), 3, 100, 1100)).toEqual([100, 100, 100]);
  });

  test("is what the user says, also where that is longer", () => {
    expect(pauses(policyOf({ ...patient, delay: 45_000 }), 3, undefined, 10)).toEqual([45_000, 45_000, 45_000]);
    expect(pauses(policyOf({ ...patient, delay: 5000 }), 3, 100, 200)).toEqual([5000, 5000, 5000]);
  });
});

describe("a crash loop", () => {
  test("ends in failed, with the limit named", () => {
    const policy = policyOf({ burst: { count: 3, within: 60_000 } });
    let state = initialState(0, policy);
    let effects: string[] = [];
    for (const at of [1000, 2000, 3000]) {
      const ended = next(state, code(1), at, policy);
      effects = ended.effects.map(words);
      state = at === 3000 ? ended.state : next(ended.state, { type: "started" }, at + 500, policy).state;
    }
    expect(state.phase).toBe("failed");
    const limit = "giving up (--restart-burst=3/60)";
    expect(effects).toEqual([
      "cancel kill",
      `error: dockerd ended 3 times within 60 s before it was ready: ${limit}`,
      "finish",
    ]);
  });

  test("is none when the ends lie further apart", () => {
    expect(pauses(policyOf({ burst: { count: 3, within: 5000 } }), 6, undefined, 4000).every(Number.isFinite)).toBe(
      true,
    );
  });

  test("does not count runs that were ready", () => {
    expect(pauses(policyOf({ burst: { count: 3, within: 60_000 } }), 6, 100, 200).every(Number.isFinite)).toBe(true);
  });

  test("of a target that doesn't say when it is ready is one of runs shorter than a second", () => {
    const policy = policyOf({ saysReady: false, burst: { count: 3, within: 60_000 } });
    expect(pauses(policy, 3, 0, 900)[2]).toBeNaN();
    expect(pauses(policy, 6, 0, 1000).every(Number.isFinite)).toBe(true);
  });

  test("has no end with a count of 0", () => {
    expect(pauses(policyOf({ burst: { count: 0, within: 60_000 } }), 20, undefined, 1).every(Number.isFinite)).toBe(
      true,
    );
  });

  test("counts starts that failed", () => {
    const policy = policyOf({ burst: { count: 2, within: 60_000 } });
    const { state } = story(policy, [10, code(1)], [200, { type: "not-started", why: "there is no such command" }]);
    expect([state.phase, state.reasons.at(-1)?.reason]).toEqual(["failed", "there is no such command"]);
  });
});

describe("signals to rlkit", () => {
  test.each([
    ["on-failure", TERM, true],
    ["on-failure", INT, true],
    ["on-failure", QUIT, true],
    ["on-failure", HUP, false],
    ["no", TERM, true],
    ["no", INT, false],
    ["no", QUIT, false],
  ] as const)("--restart=%s: %i means the end: %s", (restart, signo, ends) => {
    for (const phase of ["starting", "ready"] as const) {
      const policy = policyOf({ restart });
      const { state, effects } = next(states[phase](policy), signal(signo), 5000, policy);
      expect(state.phase).toBe(ends ? "stopping" : phase);
      expect(effects.map(words)).toEqual(ends ? [`end ${signo}`, "set kill 30000"] : [`signal ${signo}`]);
    }
  });

  test("without a stop timeout it has all the time that it wants, and every signal", () => {
    const policy = policyOf({ restart: "no", stopTimeout: undefined });
    const first = next(states.ready(policy), signal(TERM), 5000, policy);
    expect(first.effects.map(words)).toEqual(["end 15"]);
    expect(next(first.state, signal(TERM), 6000, policy).effects.map(words)).toEqual(["signal 15"]);
  });

  test("the second one shortens its time, once", () => {
    const policy = policyOf();
    const second = next(states.stopping(), signal(INT), 6000, policy);
    expect(second.effects.map(words)).toEqual(["set kill 1000"]);
    expect(next(second.state, signal(INT), 6100, policy)).toEqual({ state: second.state, effects: [] });
    expect(next(states.stopping(), signal(HUP), 6000, policy).effects.map(words)).toEqual(["signal 1"]);
    const short = policyOf({ stopTimeout: 300 });
    expect(next(states.stopping(short), signal(INT), 6000, short).effects.map(words)).toEqual(["set kill 300"]);
  });

  test("in the pause before a start they end everything at once, or are about nobody", () => {
    const { state, effects } = next(states.restarting(), signal(TERM), 5050, policyOf());
    expect([state.phase, effects.map(words)]).toEqual(["stopping", ["cancel start", "finish"]]);
    expect(next(states.restarting(), signal(HUP), 5050, policyOf()).effects).toEqual([]);
  });
});

describe("an end that was asked for", () => {
  test("stop is a TERM; in the pause before a start nothing is left to do", () => {
    expect(next(states.ready(), { type: "stop" }, 5000, policyOf()).effects.map(words)).toEqual([
      "end 15",
      "set kill 30000",
    ]);
    expect(next(states.restarting(), { type: "stop" }, 5000, policyOf()).effects.map(words)).toEqual([
      "cancel start",
      "finish",
    ]);
  });

  test("is the end, whatever the policy; its status is kept", () => {
    const policy = policyOf({ restart: "always" });
    const { state, effects } = next(states.stopping(policy), exited(KILL), 7000, policy);
    expect([state.phase, state.lastStatus, effects.map(words)]).toEqual(["stopping", KILL, ["cancel kill", "finish"]]);
  });

  test("a target that takes too long is killed, and that is said", () => {
    for (const phase of ["stopping", "ready", "starting"] as const) {
      expect(next(states[phase](), timeout("kill"), 40_000, policyOf()).effects.map(words)).toEqual([
        "warn: dockerd did not end in time: killing it",
        "signal 9",
      ]);
    }
  });

  test("asked for again, or to restart, or found unhealthy, it stays with that", () => {
    for (const event of [{ type: "stop" }, { type: "restart" }, { type: "unhealthy", why: "hangs" }] as Event[]) {
      const before = states.stopping();
      expect(next(before, event, 6000, policyOf())).toEqual({ state: before, effects: [] });
    }
  });
});

describe("a restart on demand", () => {
  test("is a TERM, and then a start without a pause; it is no failure", () => {
    const asked = next(states.ready(), { type: "restart" }, 5000, policyOf());
    expect(asked.effects.map(words)).toEqual(["signal 15", "set kill 30000"]);
    const { state, effects } = next(asked.state, code(1), 6000, policyOf());
    expect(effects.map(words)).toEqual(["cancel kill", "clean-up", "start"]);
    expect(state).toMatchObject({ phase: "restarting", goal: "policy", restarts: 1, useless: [] });
    expect(state.reasons).toEqual([{ at: 6000, reason: "asked for" }]);
  });

  test("works with --restart=no as well", () => {
    const policy = policyOf({ restart: "no" });
    const asked = next(states.ready(policy), { type: "restart" }, 5000, policy);
    expect(next(asked.state, code(0), 6000, policy).state.phase).toBe("restarting");
  });

  test("one that ends well then makes the counts of failures begin anew", () => {
    const policy = policyOf({ max: 1, burst: { count: 2, within: 60_000 } });
    const failedOnce = story(
      policy,
      [10, code(1)],
      [200, { type: "started" }],
      [800, { type: "restart" }],
      [900, code(0)],
    );
    expect(failedOnce.state).toMatchObject({ failures: 0, useless: [] });
    const again = next(failedOnce.state, { type: "started" }, 1000, policy).state;
    expect(next(again, code(1), 1100, policy).state.phase).toBe("restarting");
  });

  test("in the pause before a start it starts at once, and the pauses begin anew", () => {
    const { state, effects } = next(states.restarting(), { type: "restart" }, 5010, policyOf());
    expect([state.nextDelay, effects.map(words)]).toEqual([100, ["cancel start", "start"]]);
  });

  test("a target that is to end on demand is not taken for unhealthy", () => {
    const asked = next(states.ready(), { type: "restart" }, 5000, policyOf()).state;
    expect(next(asked, { type: "unhealthy", why: "hangs" }, 5100, policyOf()).effects).toEqual([]);
  });
});

describe("a target that hangs", () => {
  test("is killed, and the policy goes on from there", () => {
    const { state, effects } = next(states.ready(), { type: "unhealthy", why: "did not answer" }, 5000, policyOf());
    expect(state.phase).toBe("ready");
    expect(effects.map(words)).toEqual(["warn: dockerd did not answer: it is ended and started again", "signal 9"]);
    const policy = policyOf({ restart: "no" });
    const ended = next(states.ready(policy), { type: "unhealthy", why: "did not answer" }, 5000, policy);
    expect(words(ended.effects[0] as Effect)).toBe("warn: dockerd did not answer: it is ended");
  });
});

describe("the pause", () => {
  test("over, it starts; started, it is waited for", () => {
    expect(next(states.restarting(), timeout("start"), 5100, policyOf()).effects.map(words)).toEqual(["start"]);
    const { state } = next(states.restarting(), { type: "started" }, 5200, policyOf());
    expect(state).toMatchObject({ phase: "starting", startedAt: 5200, since: 5200 });
  });

  test("a start that fails is a failure like any other", () => {
    const { state, effects } = next(
      states.restarting(),
      { type: "not-started", why: "can't run it" },
      5100,
      policyOf(),
    );
    expect([state.phase, state.restarts, state.failures]).toEqual(["restarting", 2, 2]);
    expect(effects.map(words)).toContain(
      "warn: dockerd can't run it after 0.0 s; it starts again in 0.2 s (restart 2)",
    );
  });
});

const events: readonly Event[] = [
  { type: "started" },
  { type: "not-started", why: "gone" },
  { type: "ready" },
  code(1),
  { type: "unhealthy", why: "hangs" },
  signal(TERM),
  { type: "stop" },
  { type: "restart" },
  timeout("start"),
  timeout("kill"),
];

/** What each phase does not expect. */
const illegal: Record<Phase, readonly string[]> = {
  starting: ["started", "not-started", "timeout start"],
  ready: ["started", "not-started", "timeout start"],
  restarting: ["ready", "exited", "unhealthy", "timeout kill"],
  stopping: ["started", "not-started", "timeout start"],
  failed: events.map(nameOf),
};

function nameOf(event: Event): string {
  return event.type === "timeout" ? `timeout ${event.timer}` : event.type;
}

const pairs = phases.flatMap((phase) => events.map((event) => [phase, nameOf(event), event] as const));

test.each(pairs)("%s, %s: expected, or told as a defect and not obeyed", (phase, name, event) => {
  const before = states[phase]();
  const { state, effects } = next(before, event, 9000, policyOf());
  const defect = `error: a defect in rlkit: the event ${JSON.stringify(event)} in the phase ${phase}`;
  if (illegal[phase].includes(name))
    expect({ state, effects: effects.map(words) }).toEqual({ state: before, effects: [defect] });
  else expect(effects.map(words)).not.toContain(defect);
});

test.each([
  [0, "status 0"],
  [3 << 8, "status 3"],
  [9, "signal SIGKILL"],
  [139, "signal SIGSEGV"], // with a core dump
  [64, "signal 64"],
])("the wait status %i is %s", (status, expected) => {
  expect(describeEnd(status)).toBe(expected);
});

test("whatever happens, nothing throws, no state is changed in place, and there is one start or end at a time", () => {
  const anything = fc.oneof(
    fc.constantFrom(...events),
    fc.record({ type: fc.constant("exited" as const), status: fc.nat(0xffff) }),
    fc.record({ type: fc.constant("signal" as const), signo: fc.integer({ min: 1, max: 64 }) }),
  );
  const policies = fc.record({
    restart: fc.constantFrom("no", "on-failure", "always", "unless-stopped" as const),
    saysReady: fc.boolean(),
    max: fc.option(fc.nat(3), { nil: undefined }),
    burst: fc.record({ count: fc.nat(4), within: fc.integer({ min: 1, max: 60_000 }) }),
    stopTimeout: fc.option(fc.nat(30_000), { nil: undefined }),
  });
  fc.assert(
    fc.property(policies, fc.array(fc.tuple(fc.nat(20_000), anything)), (changes, list) => {
      const policy = policyOf(changes as Partial<Policy>);
      let [state, now] = [initialState(0, policy), 0];
      for (const [later, event] of list) {
        now += later;
        const frozen = Object.freeze({ ...state, useless: Object.freeze([...state.useless]) }) as State;
        const { state: after, effects } = next(frozen, event, now, policy);
        const decisive = effects.filter((effect) => effect.do === "start" || effect.do === "finish");
        expect(decisive.length).toBeLessThanOrEqual(1);
        if (after.phase === "failed") expect(decisive.every((effect) => effect.do === "finish")).toBe(true);
        state = after;
      }
    }),
    { numRuns: 300 },
  );
});
