import type { Info } from "../api/info.ts";
import { humanBytes } from "../human-bytes.ts";
import type { PortCounters, PortStatus } from "../ports/driver.ts";
import { targetAddress } from "../ports/socket-plan.ts";
import { type Column, printTable } from "./table.ts";

/** A published port as the API lists it; without counters where the driver has none. */
export type ListedPort = PortStatus & { counters?: PortCounters };

/** What a port did in a time: a second's worth. */
export interface Rates {
  bytesIn: number;
  bytesOut: number;
  accepted: number;
}

const at = (address: string, port: number): string => `${address.includes(":") ? `[${address}]` : address}:${port}`;

/** Where clients connect: `*` stands for all addresses of both IP versions. */
function hostOf({ proto, parentIP, parentPort }: PortStatus["spec"], { portDriver }: Info): string {
  const both = portDriver?.protos.includes("tcp6") ? "*" : "0.0.0.0";
  const all = proto.endsWith("4") ? "0.0.0.0" : proto.endsWith("6") ? "::" : both;
  return at(parentIP || all, parentPort);
}

/** Where they come to: the address that the driver takes if none was given. */
function insideOf(spec: PortStatus["spec"], { networkDriver, portDriver }: Info): string {
  const tap = networkDriver?.childIP ?? "";
  return at(spec.childIP || (portDriver?.driver === "builtin" ? targetAddress(spec) : tap), spec.childPort);
}

/** The ports as a table: with counters if there are any, and with rates a second for those that have been seen before. */
export function printPorts(
  ports: readonly ListedPort[],
  info: Info,
  rates?: ReadonlyMap<number, Rates>,
): Promise<string> {
  const counted = ports.some(({ counters }) => counters !== undefined);
  const columns: Column[] = [{ head: "ID", right: true }, { head: "PROTO" }, { head: "HOST" }, { head: "INSIDE" }];
  if (counted) columns.push(...["OPEN", "TOTAL", "IN", "OUT"].map((head) => ({ head, right: true as const })));
  if (counted && rates) columns.push(...["NEW/s", "IN/s", "OUT/s"].map((head) => ({ head, right: true as const })));
  const rows = ports.map(({ id, spec, counters }) => {
    const row: (string | number)[] = [id, spec.proto, hostOf(spec, info), insideOf(spec, info)];
    if (!counted) return row;
    if (counters === undefined) return [...row, ...Array.from({ length: columns.length - row.length }, () => "-")];
    const { open, accepted, bytesIn, bytesOut } = counters;
    row.push(open, accepted, humanBytes(bytesIn), humanBytes(bytesOut));
    const rate = rates?.get(id);
    if (rates === undefined) return row;
    if (rate === undefined) return [...row, "-", "-", "-"];
    return [...row, Math.round(rate.accepted), humanBytes(rate.bytesIn), humanBytes(rate.bytesOut)];
  });
  return printTable(columns, rows);
}

/** The rates between two lists. A port that is new, or whose counters began again, has none. */
export function ratesBetween(
  before: readonly ListedPort[],
  after: readonly ListedPort[],
  seconds: number,
): ReadonlyMap<number, Rates> {
  const earlier = new Map(before.map(({ id, counters }) => [id, counters]));
  const rates = new Map<number, Rates>();
  for (const { id, counters } of after) {
    const then = earlier.get(id);
    if (then === undefined || counters === undefined || counters.accepted < then.accepted) continue;
    const rate = (name: "accepted" | "bytesIn" | "bytesOut"): number =>
      Math.max(0, (counters[name] - then[name]) / seconds);
    rates.set(id, { accepted: rate("accepted"), bytesIn: rate("bytesIn"), bytesOut: rate("bytesOut") });
  }
  return rates;
}
