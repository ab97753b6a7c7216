import { join } from "node:path";
import { RlkitError } from "../errors.ts";
import type { Network } from "../network/choose.ts";
import type { Forwarding } from "../network/driver.ts";
import type { HostAccess } from "../options/host-access.ts";
import { losses } from "../ports/capabilities.ts";
import type { PortDriverName, PortSpec } from "../ports/driver.ts";
import type { Note } from "../profiles/profile.ts";
import type { Step } from "./steps.ts";

/** Where the network helper is told about ports, if it is the one that forwards them. Throws where nobody could tell it. */
export function forwarding(driver: PortDriverName, stateDir: string, pesto: string | undefined): Forwarding {
  switch (driver) {
    case "slirp4netns":
      return { kind: "socket", path: join(stateDir, ".s4nn.sock") };
    case "pesto":
      if (pesto === undefined) {
        throw new RlkitError("NETWORK", "cannot use --port-driver=pesto: pesto is not on PATH", {
          hint: "install passt of 2026, which brings pesto along, or use --port-driver=builtin",
        });
      }
      return { kind: "socket", path: join(stateDir, ".pasta.sock") };
    case "implicit":
      return { kind: "all" };
    default:
      return { kind: "none" };
  }
}

/** What somebody who wrote `-p` is to know. */
export function portNotes([first]: readonly PortSpec[], driver: PortDriverName): Note[] {
  const text = first !== undefined && driver === "implicit" ? losses(driver, first) : undefined;
  return text === undefined ? [] : [{ level: "warn", text }];
}

/** Opens ports of the host's loopback address inside. Throws where inside and outside are the same. */
export function hostPorts({ ports }: HostAccess, network: Network): Step[] {
  if (ports.length === 0) return [];
  if (network.kind === "host") {
    throw new RlkitError(
      "USAGE",
      "--host-access makes no sense with --net=host: everything of the host is reachable already",
    );
  }
  return [
    { do: "open-host-ports", ports, why: "these, and nothing else of the host, are reached at their numbers inside" },
  ];
}

/** Publishes the ports of `-p`, all or none. Throws where the driver can't publish any. */
export function publish(ports: readonly PortSpec[], driver: PortDriverName): Step[] {
  if (ports.length === 0) return [];
  if (driver === "none") {
    throw new RlkitError("USAGE", 'port driver "none" does not support publishing ports', {
      hint: "leave --port-driver away, and use another network than --net=host",
    });
  }
  // pasta publishes what listens inside, by the same number.
  if (driver === "implicit") return [];
  return [{ do: "publish", driver, ports, why: "open before the target starts" }];
}
