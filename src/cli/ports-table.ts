import type { Info } from "../api/info.ts";
import { humanBytes } from "../human-bytes.ts";
import type { PortCounters, PortStatus } from "../ports/driver.ts";
import { targetAddress } from "../ports/socket-plan.ts";
import { type Column, GAP, printTable } from "./table.ts";

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

interface PortColumn extends Column {
  cell(port: ListedPort): string | number;
}

/** What is left away where a terminal has no room for all of it, in this order: rates are why somebody watches. */
const SPARE = [["IN", "OUT"], ["TOTAL"], ["INSIDE"]];

/** All that is known of the ports: counters if there are any, and rates a second of those that have been seen before. */
function columnsOf(info: Info, counted: boolean, rates: ReadonlyMap<number, Rates> | undefined): PortColumn[] {
  const counter = (head: string, text: (counters: PortCounters) => string | number): PortColumn => ({
    head,
    right: true,
    cell: ({ counters }) => (counters === undefined ? "-" : text(counters)),
  });
  const rate = (head: string, text: (rates: Rates) => string | number): PortColumn => ({
    head,
    right: true,
    cell({ id, counters }) {
      const known = counters && rates?.get(id);
      return known === undefined ? "-" : text(known);
    },
  });
  return [
    { head: "ID", right: true, cell: ({ id }) => id },
    { head: "PROTO", cell: ({ spec }) => spec.proto },
    { head: "HOST", cell: ({ spec }) => hostOf(spec, info) },
    { head: "INSIDE", cell: ({ spec }) => insideOf(spec, info) },
    ...(counted
      ? [
          counter("OPEN", ({ open }) => open),
          counter("TOTAL", ({ accepted }) => accepted),
          counter("IN", ({ bytesIn }) => humanBytes(bytesIn)),
          counter("OUT", ({ bytesOut }) => humanBytes(bytesOut)),
        ]
      : []),
    ...(counted && rates !== undefined
      ? [
          rate("NEW/s", ({ accepted }) => Math.round(accepted)),
          rate("IN/s", ({ bytesIn }) => humanBytes(bytesIn)),
          rate("OUT/s", ({ bytesOut }) => humanBytes(bytesOut)),
        ]
      : []),
  ];
}

function isWider(columns: readonly PortColumn[], ports: readonly ListedPort[], width: number): boolean {
  const widths = columns.map(({ head, cell }) =>
    ports.reduce((widest, port) => Math.max(widest, String(cell(port)).length), head.length),
  );
  return widths.reduce((sum, each) => sum + each + GAP, -GAP) > width;
}

/**
 * The ports as a table, with counters and rates (of ratesBetween) where there are some. In `width` characters if that can be had by
 * leaving away the columns of SPARE; undefined: nothing is left away.
 */
export function printPorts(
  ports: readonly ListedPort[],
  info: Info,
  { rates, width = Number.POSITIVE_INFINITY }: { rates?: ReadonlyMap<number, Rates>; width?: number | undefined } = {},
): Promise<string> {
  const counted = ports.some(({ counters }) => counters !== undefined);
  let columns = columnsOf(info, counted, rates);
  for (const heads of SPARE) {
    if (isWider(columns, ports, width)) columns = columns.filter(({ head }) => !heads.includes(head));
  }
  return printTable(
    columns,
    ports.map((port) => columns.map(({ cell }) => cell(port))),
  );
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
