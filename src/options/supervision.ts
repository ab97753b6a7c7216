import type { Parsed } from "../cli/options.ts";
import { RlkitError } from "../errors.ts";
import { parseDuration } from "./duration.ts";

/** What a target needs beyond namespaces. */
export type ProfileName = "docker" | "containerd" | "plain";

/** How a target is kept running. Times in milliseconds. */
export interface SupervisionOptions {
  restart: "no" | "on-failure" | "always" | "unless-stopped";
  /** Of on-failure: how often at most; undefined: any number of times. */
  max: number | undefined;
  delay: number;
  burst: { count: number; within: number };
  /** Undefined: for ever. */
  stopTimeout: number | undefined;
  /** How often the target is asked whether it answers; 0: never. */
  healthInterval: number;
  /** Whether dockerd is to leave containers running while it is restarted. */
  liveRestore: "auto" | "true" | "false";
  /** Where a newline says that the target is ready; undefined: nowhere. */
  readyFd: number | undefined;
  /** The service manager that started rlkit (sd_notify(3)). */
  manager: { socket: string; watchdog: number | undefined } | undefined;
}

function usage(text: string): RlkitError {
  return new RlkitError("USAGE", text);
}

/** Turns the options about supervision, and what a service manager says in the environment, into checked ones. */
export function resolveSupervision(
  values: Parsed["values"],
  env: NodeJS.ProcessEnv,
  profile: ProfileName,
): SupervisionOptions {
  const text = (name: string): string | undefined => values[name] as string | undefined;
  const duration = (name: string): number | undefined => {
    const value = text(name);
    return value === undefined ? undefined : parseDuration(value, `--${name}`);
  };
  const readyFd = values["ready-fd"] as number | undefined;
  if (readyFd !== undefined && (!Number.isInteger(readyFd) || readyFd < 3)) {
    throw usage(`--ready-fd=${readyFd} is no descriptor that can be waited for: 3 or more`);
  }
  return {
    ...parseRestart(text("restart") ?? (profile === "plain" ? "no" : "on-failure")),
    delay: duration("restart-delay") ?? 100,
    burst: parseBurst(text("restart-burst") ?? "5/60"),
    stopTimeout: duration("stop-timeout") ?? (profile === "plain" ? undefined : 30_000),
    healthInterval: duration("health-interval") ?? 0,
    liveRestore: text("live-restore") as SupervisionOptions["liveRestore"],
    readyFd,
    manager: env.NOTIFY_SOCKET ? { socket: env.NOTIFY_SOCKET, watchdog: watchdog(env) } : undefined,
  };
}

function parseRestart(text: string): Pick<SupervisionOptions, "restart" | "max"> {
  const [, restart, max] = /^(no|on-failure|always|unless-stopped)(?::(\d+))?$/.exec(text) ?? [];
  if (restart === undefined || (max !== undefined && restart !== "on-failure")) {
    throw usage(`--restart=${text} is no restart policy: no, on-failure, on-failure:MAX, always or unless-stopped`);
  }
  return { restart: restart as SupervisionOptions["restart"], max: max === undefined ? undefined : Number(max) };
}

function parseBurst(text: string): SupervisionOptions["burst"] {
  const [, count, seconds] = /^(\d+)\/(\d+(?:\.\d+)?)$/.exec(text) ?? [];
  if (count === undefined) throw usage(`--restart-burst=${text} is not like 5/60: so many ends within so many seconds`);
  return { count: Number(count), within: Number(seconds) * 1000 };
}

/** Milliseconds within which the manager wants a sign of life (sd_watchdog_enabled(3)); undefined if from nobody, or not from us. */
function watchdog(env: NodeJS.ProcessEnv): number | undefined {
  const { WATCHDOG_USEC: microseconds, WATCHDOG_PID: pid } = env;
  if (pid !== undefined && pid !== String(process.pid)) return undefined;
  const milliseconds = Number(microseconds) / 1000;
  return milliseconds > 0 ? milliseconds : undefined;
}
