import type { Tools } from "./ports-tools.ts";
import type { Way } from "./ports-ways.ts";
import { BARE, interleave, median, type Requirement, type Row } from "./statistics.ts";

/** One measurement that is made on every way: a sample a round. */
interface Measurement {
  readonly name: string;
  readonly unit: Row["unit"];
  readonly sample: (way: Way, tools: Tools) => Promise<number>;
  readonly required?: (medians: Medians) => Requirement;
}

interface Medians {
  readonly bare: number;
  readonly builtin: number;
  readonly rlkit: number;
}

/** Seconds of an iperf3 sample, and of the others. */
const LONG = 2;
const SHORT = 1;
/** Connections that share the seconds of a sample of round trips. */
const CONNECTIONS = 4;
/** Datagrams a second of 1,400 bytes that every way is offered alike, in Mbit/s. */
const OFFERED = 400;
const DATAGRAM_BITS = 1400 * 8;

const MEASUREMENTS: readonly Measurement[] = [
  { name: "TCP in, 1 stream", unit: "Gbit/s", sample: stream(1), required: throughput },
  { name: "TCP in, 8 streams", unit: "Gbit/s", sample: stream(8), required: throughput },
  {
    name: "short connections",
    unit: "/s",
    sample: async ({ port }, { load }) => (await load("short", port, SHORT)).perSecond ?? Number.NaN,
    required: ({ rlkit, builtin }) => ({ text: "≥ 2.0 × builtin", met: rlkit >= 2 * builtin }),
  },
  {
    name: "round trip, 64 bytes",
    unit: "µs",
    sample: roundTrip(0),
    required: ({ rlkit, builtin }) => ({ text: "≤ 0.35 × builtin", met: rlkit <= 0.35 * builtin }),
  },
  // The processes have gone to sleep in between, as with a client that thinks.
  { name: "round trip, 64 bytes, 1 ms apart", unit: "µs", sample: roundTrip(0.001) },
  {
    name: "UDP in, 1,400 bytes, unlimited",
    unit: "Mbit/s",
    sample: async (way, tools) => (await datagrams(way, tools, 0)).delivered,
    required: ({ rlkit, builtin }) => ({ text: "≥ 1.5 × builtin", met: rlkit >= 1.5 * builtin }),
  },
  {
    name: `UDP in, loss at ${OFFERED} Mbit/s`,
    unit: "%",
    sample: async (way, tools) => (await datagrams(way, tools, (OFFERED * 1e6) / DATAGRAM_BITS)).loss,
    required: ({ rlkit, builtin }) => ({ text: "≤ builtin", met: rlkit <= builtin }),
  },
];

/** What the ways carry: a group of lines for each measurement. */
export async function benchTraffic(ways: readonly Way[], tools: Tools, rounds: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const { name, unit, sample, required } of MEASUREMENTS) {
    console.log(`  ${name}`);
    const samples = await interleave(ways, rounds, (way) => sample(way, tools));
    const of = (prefix: string) => median(samples.get(ways.find(({ label }) => label.startsWith(prefix)) as Way) ?? []);
    for (const way of ways) {
      const own = samples.get(way) ?? [];
      const medians = { bare: of(BARE), builtin: of("rootlesskit"), rlkit: median(own) };
      const goal = way.label.startsWith("rlkit") ? required?.(medians) : undefined;
      rows.push({ measurement: name, subject: way.label, unit, samples: own, ...(goal && { required: goal }) });
    }
  }
  return rows;
}

function stream(count: number): Measurement["sample"] {
  return async ({ iperf }, tools) => (await tools.iperf(iperf, `--time=${LONG}`, `--parallel=${count}`)) / 1e9;
}

/**
 * The mean over several connections, because it depends much on which processors the scheduler happens to have put their ends on.
 * `pause`: seconds between one trip and the next.
 */
function roundTrip(pause: number): Measurement["sample"] {
  return async ({ port }, { load }) => {
    let sum = 0;
    for (let connection = 0; connection < CONNECTIONS; connection += 1) {
      sum += (await load("trip", port, SHORT / CONNECTIONS, pause)).microseconds ?? Number.NaN;
    }
    return sum / CONNECTIONS;
  };
}

/** Twice builtin, where loopback leaves room for that; and never much less than loopback. */
function throughput({ bare, builtin, rlkit }: Medians): Requirement {
  if (bare < 2.1 * builtin) return { text: "≥ 0.95 × bare", met: rlkit >= 0.95 * bare };
  return { text: "≥ 0.85 × bare, ≥ 2.0 × builtin", met: rlkit >= 0.85 * bare && rlkit >= 2 * builtin };
}

/** Offers `rate` datagrams a second, 0 for as many as can be sent. Delivered in Mbit/s, loss in percent. */
async function datagrams({ port }: Way, { load }: Tools, rate: number): Promise<{ delivered: number; loss: number }> {
  const { sent = 0, received = 0, seconds = 0 } = await load("datagrams", port, SHORT, rate);
  return { delivered: (received * DATAGRAM_BITS) / seconds / 1e6, loss: (100 * (sent - received)) / sent };
}
