import type { Info } from "../api/info.ts";
import { type ListedPort, printPorts, ratesBetween } from "./ports-table.ts";
import { watch } from "./watch.ts";

interface PortsWatch {
  list(): Promise<ListedPort[]>;
  info: Info;
  /** Between two looks. */
  seconds: number;
  json: boolean;
}

/** Prints the ports again and again, with rates once there are two lists to compare; one JSON object a line with `json`. */
export function watchPorts({ list, info, seconds, json }: PortsWatch): Promise<number> {
  return watch({
    look: list,
    show(ports, before, passed, width) {
      const rates = ratesBetween(before ?? [], ports, passed);
      return json ? jsonLine(ports, rates) : printPorts(ports, info, { rates, width });
    },
    seconds,
    json,
  });
}

/** One look as a line: the time, and each port with its rates a second. */
function jsonLine(ports: readonly ListedPort[], rates: ReturnType<typeof ratesBetween>): string {
  const withRates = ports.map((port) => ({ ...port, perSecond: rates.get(port.id) }));
  return `${JSON.stringify({ time: new Date().toISOString(), ports: withRates })}\n`;
}
