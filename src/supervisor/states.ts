import { constants } from "node:os";
import { shellStatus } from "../native/capture.ts";
import { formatSeconds } from "./format.ts";
import type { Phase } from "./status.ts";

/** What the user wants of a target that ends, and of one that is to end. Times in milliseconds. */
export interface Policy {
  /** The target's name, for the log. */
  name: string;
  /** It says or shows when it is ready; any other is so as soon as it runs, and that is nothing to tell. */
  saysReady: boolean;
  restart: "no" | "on-failure" | "always" | "unless-stopped";
  /** How often on-failure starts it again; undefined: as often as it takes. */
  max: number | undefined;
  /** The first pause before a start; each is twice as long as the one before. */
  delay: number;
  /** So many runs within that time may end before they were of any use; count 0: any number. */
  burst: { count: number; within: number };
  /** From the request to end until SIGKILL; undefined: for ever. */
  stopTimeout: number | undefined;
}

const DELAY_MAX = 30_000;
/** The same after a run that had been ready: whatever ended it, the target itself works. */
const DELAY_MAX_READY = 1000;
/** After so long a time of readiness a target counts as healthy again: the next pause is the first one's. */
const STEADY = 1000;
/** Of a target that doesn't say when it is ready, a run that ends so soon was of no use. */
const SHORT = 1000;
/** What is left of the time to end after a second ^C. */
const IMPATIENT = 1000;

/** What happens to a supervised target. */
export type Event =
  | { type: "started" }
  /** A start that failed: the program is gone, say. */
  | { type: "not-started"; why: string }
  | { type: "ready" }
  /** `status` as of waitpid(2). */
  | { type: "exited"; status: number }
  | { type: "unhealthy"; why: string }
  /** rlkit itself was sent a signal. */
  | { type: "signal"; signo: number }
  | { type: "stop" }
  | { type: "restart" }
  | { type: "timeout"; timer: Timer };

export type Timer = "start" | "kill";

/** What is to be done about it. */
export type Effect =
  | { do: "signal"; signo: number }
  /** The target is to end: like its signal, but the profile may have something to say to it before. */
  | { do: "end"; signo: number }
  | { do: "clean-up" }
  | { do: "start" }
  | { do: "set-timer"; timer: Timer; milliseconds: number }
  | { do: "cancel-timer"; timer: Timer }
  | { do: "log"; level: "info" | "warn" | "error"; text: string }
  | { do: "finish" };

/** Everything that decides what comes next. Moments are milliseconds of any clock that does not jump. */
export interface State {
  phase: Phase;
  since: number;
  /** What a target that ends is to be followed by: as the policy says, by another run, or by nothing. */
  goal: "policy" | "again" | "end";
  /** The end was asked for more than once. */
  impatient: boolean;
  startedAt: number;
  readyAt: number | undefined;
  /** From the last start to readiness. */
  readyAfter: number | undefined;
  restarts: number;
  failures: number;
  nextDelay: number;
  /** When runs ended that were of no use, as far as that matters for the burst limit. */
  useless: readonly number[];
  /** Of the last run that ended (waitpid(2)); undefined before. */
  lastStatus: number | undefined;
  reasons: readonly { at: number; reason: string }[];
}

/** The state of a target that has just been started for the first time. */
export function initialState(now: number, { delay }: Policy): State {
  return {
    phase: "starting",
    since: now,
    goal: "policy",
    impatient: false,
    startedAt: now,
    readyAt: undefined,
    readyAfter: undefined,
    restarts: 0,
    failures: 0,
    nextDelay: delay,
    useless: [],
    lastStatus: undefined,
    reasons: [],
  };
}

/** The next state, and what is to be done. Pure: the time is an argument. */
export interface Next {
  state: State;
  effects: readonly Effect[];
}

type Handler<K extends Event["type"]> = (
  state: State,
  event: Extract<Event, { type: K }>,
  now: number,
  policy: Policy,
) => Next;
type Row = { [K in Event["type"]]?: Handler<K> };

const { SIGINT, SIGKILL, SIGQUIT, SIGTERM } = constants.signals;

const log = (level: "info" | "warn" | "error", text: string): Effect => ({ do: "log", level, text });
const stay = (state: State, ...effects: Effect[]): Next => ({ state, effects });
const enter = (state: State, phase: Phase, now: number, changes: Partial<State> = {}): State => ({
  ...state,
  phase,
  since: now,
  ...changes,
});

/** How a run ended, for people: "signal SIGKILL", "status 3". */
export function describeEnd(status: number): string {
  const signo = status & 127;
  if (signo === 0) return `status ${shellStatus(status)}`;
  const name = Object.entries(constants.signals).find(([, number]) => number === signo)?.[0];
  return `signal ${name ?? signo}`;
}

const killTimer = ({ stopTimeout }: Policy): Effect[] =>
  stopTimeout === undefined ? [] : [{ do: "set-timer", timer: "kill", milliseconds: stopTimeout }];

/** Whether a signal to rlkit means that it is to end. A shell or a test runner may do something else with ^C. */
const endsAll = (signo: number, { restart }: Policy): boolean =>
  signo === SIGTERM || (restart !== "no" && (signo === SIGINT || signo === SIGQUIT));

const passOn: Handler<"signal"> = (state, { signo }, now, policy) => {
  if (!endsAll(signo, policy)) return stay(state, { do: "signal", signo });
  return stay(enter(state, "stopping", now, { goal: "end" }), { do: "end", signo }, ...killTimer(policy));
};

const stop: Handler<"stop"> = (state, _, now, policy) => passOn(state, { type: "signal", signo: SIGTERM }, now, policy);

const askAgain: Handler<"restart"> = (state, _, __, policy) =>
  stay({ ...state, goal: "again" }, { do: "signal", signo: SIGTERM }, ...killTimer(policy));

/** One that was told to end may well not answer any more. */
const unhealthy: Handler<"unhealthy"> = (state, { why }, _, { name, restart }) =>
  state.goal !== "policy"
    ? stay(state)
    : stay(state, log("warn", `${name} ${why}: it is ended${restart === "no" ? "" : " and started again"}`), {
        do: "signal",
        signo: SIGKILL,
      });

const kill: Handler<"timeout"> = (state, { timer }, _, { name }) =>
  timer === "kill"
    ? stay(state, log("warn", `${name} did not end in time: killing it`), { do: "signal", signo: SIGKILL })
    : illegal(state, { type: "timeout", timer });

/** A run has ended (or could not begin): the policy decides. */
function ended(state: State, why: string, failed: boolean, now: number, policy: Policy): Next {
  const lived = now - state.startedAt;
  const wasReady = state.readyAt !== undefined;
  const useful = wasReady && (policy.saysReady || lived >= SHORT);
  const steady = state.readyAt !== undefined && now - state.readyAt >= STEADY;
  const useless = state.useless.filter((at) => now - at < policy.burst.within).concat(useful ? [] : [now]);
  const reason = state.goal === "again" ? "asked for" : why;
  const reasons = [...state.reasons, { at: now, reason }].slice(-10);
  const next = { ...state, useless, reasons, failures: failed ? state.failures + 1 : 0, readyAt: undefined };
  const cancel: Effect = { do: "cancel-timer", timer: "kill" };

  if (state.goal === "again") {
    const again = enter(next, "restarting", now, { goal: "policy", restarts: state.restarts + 1, useless: [] });
    return stay(again, cancel, { do: "clean-up" }, { do: "start" });
  }
  if (!restarts(next, failed, policy)) return stay(enter(next, "stopping", now), cancel, { do: "finish" });
  if (policy.burst.count > 0 && useless.length >= policy.burst.count) {
    const { count, within } = policy.burst;
    const limit = `--restart-burst=${count}/${within / 1000}`;
    const text = `${policy.name} ended ${useless.length} times within ${within / 1000} s before it was ready: giving up (${limit})`;
    return stay(enter(next, "failed", now), cancel, log("error", text), { do: "finish" });
  }
  const longest = wasReady ? Math.max(DELAY_MAX_READY, policy.delay) : Math.max(DELAY_MAX, policy.delay);
  const delay = steady ? policy.delay : Math.min(state.nextDelay, longest);
  const again = enter(next, "restarting", now, {
    restarts: state.restarts + 1,
    nextDelay: delay * 2,
  });
  const text = `${policy.name} ${why} after ${formatSeconds(lived)}; it starts again in ${formatSeconds(delay)} (restart ${again.restarts})`;
  return stay(
    again,
    cancel,
    log("warn", text),
    { do: "clean-up" },
    { do: "set-timer", timer: "start", milliseconds: delay },
  );
}

function restarts({ failures }: State, failed: boolean, { restart, max }: Policy): boolean {
  if (restart === "on-failure") return failed && (max === undefined || failures <= max);
  return restart !== "no";
}

const exited: Handler<"exited"> = (state, { status }, now, policy) =>
  ended({ ...state, lastStatus: status }, `ended (${describeEnd(status)})`, status !== 0, now, policy);

const end = (state: State, now: number): Next =>
  stay(enter(state, "stopping", now, { goal: "end" }), { do: "cancel-timer", timer: "start" }, { do: "finish" });

/** The target is running, but has not said yet that it is ready. */
const starting: Row = {
  ready: (state, _, now, { name, saysReady }) => {
    const readyAfter = now - state.startedAt;
    const nowReady = enter(state, "ready", now, { readyAt: now, readyAfter });
    if (!saysReady) return stay(nowReady);
    const text = `${name} is ready ${state.restarts > 0 ? "again " : ""}after ${formatSeconds(readyAfter)}`;
    return stay(nowReady, log("info", text));
  },
  exited,
  unhealthy,
  signal: passOn,
  stop,
  restart: askAgain,
  timeout: kill,
};

const ready: Row = {
  ready: (state) => stay(state), // said twice, or again after a reload
  exited,
  unhealthy,
  signal: passOn,
  stop,
  restart: askAgain,
  timeout: kill,
};

/** There is no target: what it left behind is being ended, or the pause before the next start passes. */
const restarting: Row = {
  started: (state, _, now) => stay(enter(state, "starting", now, { startedAt: now })),
  "not-started": (state, { why }, now, policy) => ended({ ...state, startedAt: now }, why, true, now, policy),
  signal: (state, { signo }, now, policy) => (endsAll(signo, policy) ? end(state, now) : stay(state)),
  stop: (state, _, now) => end(state, now),
  restart: (state, _, __, { delay }) =>
    stay({ ...state, nextDelay: delay }, { do: "cancel-timer", timer: "start" }, { do: "start" }),
  timeout: (state, { timer }) =>
    timer === "start" ? stay(state, { do: "start" }) : illegal(state, { type: "timeout", timer }),
};

/** It was told to end. */
const stopping: Row = {
  exited: (state, { status }, now) =>
    stay(
      enter(state, "stopping", now, { lastStatus: status }),
      { do: "cancel-timer", timer: "kill" },
      { do: "finish" },
    ),
  ready: (state) => stay(state),
  unhealthy: (state) => stay(state),
  // dockerd leaves its containers behind at the third: whoever is impatient shortens the time that it has, once.
  signal: (state, { signo }, _, policy) => {
    if (!endsAll(signo, policy) || policy.stopTimeout === undefined) return stay(state, { do: "signal", signo });
    if (state.impatient) return stay(state);
    const milliseconds = Math.min(IMPATIENT, policy.stopTimeout);
    return stay({ ...state, impatient: true }, { do: "set-timer", timer: "kill", milliseconds });
  },
  stop: (state) => stay(state),
  restart: (state) => stay(state),
  timeout: kill,
};

const table: Readonly<Record<Phase, Row>> = { starting, ready, restarting, stopping, failed: {} };

/** An event that the phase has no row for: a defect of the supervisor, told and not obeyed. */
function illegal(state: State, event: Event): Next {
  return stay(state, log("error", `a defect in rlkit: the event ${JSON.stringify(event)} in the phase ${state.phase}`));
}

/** The state table. */
export function next(state: State, event: Event, now: number, policy: Policy): Next {
  const handler = table[state.phase][event.type] as Handler<typeof event.type> | undefined;
  return handler === undefined ? illegal(state, event) : handler(state, event as never, now, policy);
}
