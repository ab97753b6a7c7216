import type { Info } from "../api/info.ts";
import { humanBytes } from "../human-bytes.ts";
import { formatSeconds } from "../supervisor/format.ts";
import type { Status } from "../supervisor/status.ts";
import { wrap } from "../wrap.ts";
import { type ListedPort, printPorts, type Rates } from "./ports-table.ts";

/** What `rlkit status` has asked for. */
export interface Look {
  status: Status;
  info: Info;
  /** Undefined where the port driver has none to list. */
  ports: ListedPort[] | undefined;
}

const WIDTH = 80;
const LABEL = 11; // columns
const REASONS = 3;

const line = (label: string, text: string): string => `${label.padEnd(LABEL)}${text}\n`;
/** A sentence beside its label, in as many lines as it takes. */
const lines = (label: string, sentence: string): string =>
  wrap(sentence, WIDTH - LABEL)
    .map((part, i) => line(i === 0 ? label : "", part))
    .join("");
const ago = (now: number, moment: number): string => formatSeconds(Math.max(0, now - moment));

function describeTarget({ phase, since, target }: Status, now: number): string {
  const pid = target.pid === null ? "" : ` (pid ${target.pid})`;
  const ready = target.readyAfter === null ? "" : `, ready after ${formatSeconds(target.readyAfter)}`;
  const up = target.startedAt === null ? "" : `; up ${ago(now, target.startedAt)}`;
  return phase === "ready"
    ? `${target.name}${pid} ready${up}${ready}`
    : `${target.name}${pid} ${phase} for ${ago(now, since)}`;
}

function describeNetwork({ network }: Status): string {
  const { driver, up, restarts, dns } = network;
  const dnsText = dns === null ? "" : `, DNS ${dns}`;
  const again = restarts === 0 ? "" : `, started again ${restarts} times`;
  return `${driver}${driver === "none" || driver === "host" ? "" : up ? " up" : " DOWN"}${dnsText}${again}`;
}

/** Parts joined by commas, in lines that fit beside the labels. */
function joined(parts: readonly string[]): string[] {
  const all: string[] = [];
  for (const part of parts) {
    const longer = all.length === 0 ? part : `${all.at(-1)}, ${part}`;
    if (all.length > 0 && longer.length <= WIDTH - LABEL) all[all.length - 1] = longer;
    else all.push(part);
  }
  return all;
}

/**
 * A run for people, at 80 columns: what runs, what is wrong, and what it takes. `now`: milliseconds since the epoch; the options are those of
 * printPorts.
 */
export async function printStatus(
  { status, info, ports }: Look,
  now: number,
  table: { rates?: ReadonlyMap<number, Rates>; width?: number | undefined } = {},
): Promise<string> {
  const { restarts, processes, degraded, lastLines, phase } = status;
  const memory = processes.reduce((sum, { rss }) => sum + (rss ?? 0), 0);
  const orphans = status.ports.orphans === 0 ? "" : `, ${status.ports.orphans} waiting to be asked for again`;
  const text = [
    line("target", describeTarget(status, now)),
    ...degraded.map((sentence) => lines("DEGRADED", sentence)),
    line("restarts", `${restarts.count} (policy ${restarts.policy})`),
    ...restarts.latest.slice(-REASONS).map(({ at, reason }) => lines("", `${ago(now, at)} ago: ${reason}`)),
    line("network", describeNetwork(status)),
    line("ports", `${status.ports.count} (${status.ports.driver})${orphans}`),
    line("memory", humanBytes(memory)),
    ...joined(processes.map(({ name, rss }) => `${name} ${humanBytes(rss ?? 0)}`)).map((part) => line("", part)),
    line("state", status.stateDir),
  ];
  if (phase !== "ready" && lastLines.length > 0) text.push("\n", ...lastLines.map((said) => `  | ${said}\n`));
  if (ports !== undefined && ports.length > 0) text.push("\n", await printPorts(ports, info, table));
  return text.join("");
}
