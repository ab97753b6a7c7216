import { RlkitError } from "../errors.ts";

/** A port of the host's loopback address that programs inside may connect to. */
export interface HostPort {
  proto: "tcp" | "udp";
  port: number;
}

/** What of the host's loopback addresses is reachable from inside. */
export interface HostAccess {
  /** All of it, at the network's gateway (10.0.2.2). */
  all: boolean;
  /** These, at the same numbers of any address inside. */
  ports: readonly HostPort[];
}

const HINT = "write none, all, or ports like 5432,8080,53/udp";

/** Reads `--host-access`: none, all, or PORT[/PROTO] separated by commas. Throws a USAGE error. */
export function parseHostAccess(text: string): HostAccess {
  if (text === "none" || text === "all") return { all: text === "all", ports: [] };
  const ports = text.split(",").map((word) => {
    const [, digits, proto = "tcp"] = /^([0-9]{1,5})(?:\/(tcp|udp))?$/.exec(word.trim()) ?? [];
    const port = Number(digits);
    if (!(port >= 1 && port <= 65535)) {
      throw new RlkitError("USAGE", `--host-access=${text}: ${JSON.stringify(word)} is no port`, { hint: HINT });
    }
    return { proto: proto as HostPort["proto"], port };
  });
  const seen = new Set<string>();
  return {
    all: false,
    ports: ports.filter(({ proto, port }) => !seen.has(`${port}/${proto}`) && seen.add(`${port}/${proto}`)),
  };
}

/** How it is written. */
export const formatHostPort = ({ proto, port }: HostPort): string =>
  proto === "tcp" ? String(port) : `${port}/${proto}`;
