import { type Random, random } from "./random.ts";

/** What a process is there for. Containers and their shims are in no list: who kills those wants them dead. */
export type Role =
  | "rlkit"
  | "init"
  | "guard"
  | "network helper"
  | "portd"
  | "dockerd"
  | "containerd"
  | "docker-proxy"
  | "rootlesskit-docker-proxy";

/** Something that goes wrong. `chance` (0 to 1) decides between several processes, ports or texts. */
export type Fault =
  | { readonly do: "signal"; readonly role: Role; readonly signal: NodeJS.Signals; readonly chance: number }
  /** SIGSTOP, and SIGCONT so much later. */
  | { readonly do: "pause"; readonly role: Role; readonly milliseconds: number; readonly chance: number }
  /** `rlkit restart` */
  | { readonly do: "restart" }
  /** A client of the API. */
  | { readonly do: "request"; readonly what: "add" | "remove" | "read" | "garbage"; readonly chance: number };

export interface Step {
  /** Milliseconds after the beginning. */
  readonly at: number;
  readonly fault: Fault;
}

interface Victim {
  readonly role: Role;
  readonly weight: number;
  /** What it may be sent, as often as it is named. */
  readonly signals: readonly NodeJS.Signals[];
  /** For so many milliseconds it may be stopped, at most. */
  readonly pause: number;
}

/**
 * The supervisor and init are the two that nothing outlives; SIGTERM to dockerd, or to init, which passes it on, is the request to
 * end. A stopped one may come back later than anybody waits for it (5 s).
 */
const VICTIMS: readonly Victim[] = [
  { role: "dockerd", weight: 8, signals: ["SIGKILL", "SIGKILL", "SIGSEGV", "SIGABRT", "SIGHUP"], pause: 9000 },
  { role: "containerd", weight: 4, signals: ["SIGKILL", "SIGSEGV", "SIGTERM"], pause: 4000 },
  { role: "docker-proxy", weight: 2, signals: ["SIGKILL", "SIGSEGV"], pause: 4000 },
  { role: "rootlesskit-docker-proxy", weight: 2, signals: ["SIGKILL", "SIGSEGV"], pause: 4000 },
  { role: "network helper", weight: 5, signals: ["SIGKILL", "SIGSEGV", "SIGTERM"], pause: 9000 },
  { role: "portd", weight: 5, signals: ["SIGKILL", "SIGSEGV", "SIGTERM"], pause: 9000 },
  { role: "guard", weight: 2, signals: ["SIGKILL", "SIGSEGV"], pause: 4000 },
  { role: "rlkit", weight: 3, signals: ["SIGHUP"], pause: 2000 },
  { role: "init", weight: 2, signals: ["SIGHUP"], pause: 2000 },
];

const REQUESTS = [
  { what: "add", weight: 3 },
  { what: "remove", weight: 2 },
  { what: "read", weight: 2 },
  { what: "garbage", weight: 3 },
] as const;

/** Milliseconds from one fault to the next. */
const APART = [100, 2000] as const;

const signal = (dice: Random): Fault => {
  const { role, signals } = dice.pick(VICTIMS);
  const chosen = signals[dice.between(0, signals.length - 1)] ?? "SIGKILL";
  return { do: "signal", role, signal: chosen, chance: dice.fraction() };
};

const pause = (dice: Random): Fault => {
  const { role, pause: most } = dice.pick(VICTIMS);
  return { do: "pause", role, milliseconds: dice.between(100, most), chance: dice.fraction() };
};

const request = (dice: Random): Fault => ({
  do: "request",
  what: dice.pick(REQUESTS).what,
  chance: dice.fraction(),
});

const KINDS = [
  { weight: 9, make: signal },
  { weight: 4, make: pause },
  { weight: 1, make: (): Fault => ({ do: "restart" }) },
  { weight: 4, make: request },
];

/** The names that `without` may hold: roles, and what else is done. */
const nameOf = (fault: Fault): string => ("role" in fault ? fault.role : fault.do);

/**
 * What goes wrong within so many milliseconds, and when. The same seed gives the same list; with names in `without`, the same list
 * without those.
 */
export function planFaults(seed: number, milliseconds: number, without: readonly string[] = []): Step[] {
  const dice = random(seed);
  const steps: Step[] = [];
  for (let at = dice.between(...APART); at < milliseconds; at += dice.between(...APART)) {
    steps.push({ at, fault: dice.pick(KINDS).make(dice) });
  }
  return steps.filter(({ fault }) => !without.includes(nameOf(fault)));
}
