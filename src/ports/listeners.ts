import { closeSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { isErrno, RlkitError } from "../errors.ts";
import { bindSocket, boundPort } from "../native/calls.ts";
import { parseAddress } from "./address.ts";
import type { PortSpec } from "./driver.ts";
import { holderOf, type Wanted } from "./holder.ts";
import { type SocketPlan, socketKind, socketPlans } from "./socket-plan.ts";
import { listenName } from "./spec.ts";

/** What listening needs of the host. Tests have another one. */
export interface ListenHost {
  bind: typeof bindSocket;
  boundPort: typeof boundPort;
  close(fd: number): void;
  holder(wanted: Wanted): string | undefined;
  /** net.ipv4.ip_unprivileged_port_start; undefined if it can't be read. */
  unprivilegedPortStart(): number | undefined;
  /** Addresses of the host, with their interfaces: "192.0.2.7 (eth0)". */
  addresses(): string[];
}

const thisHost: ListenHost = {
  bind: bindSocket,
  boundPort,
  close: closeSync,
  holder: holderOf,
  unprivilegedPortStart() {
    try {
      return Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "utf8"));
    } catch {
      return undefined; // kernels before 4.11: privileged ports are below 1024 there, and the plain message says enough
    }
  },
  addresses: () =>
    Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
      addresses.flatMap(({ address }) => (address.startsWith("fe80:") ? [] : `${address} (${name})`)),
    ),
};

const NO_IPV6 = ["EAFNOSUPPORT", "EADDRNOTAVAIL", "EPROTONOSUPPORT"];
const ATTEMPTS = 10;

/**
 * Binds the socket that a spec means (streams listen, too); with parentPort 0 the kernel picks the port. The caller closes the
 * descriptor. Throws RlkitError("PORT") that says why not, with the words that people search for.
 */
export function openListener(
  spec: PortSpec,
  plans: readonly SocketPlan[] = socketPlans(spec),
  host: ListenHost = thisHost,
): { fd: number; port: number } {
  const kind = socketKind(spec);
  if (kind === undefined) throw new RlkitError("PORT", `unsupported port protocol ${spec.proto}`);
  const [plan, ...fallback] = plans;
  if (plan === undefined) throw new Error("no socket to bind");
  for (let attempt = 1; ; attempt += 1) {
    try {
      const fd = host.bind({ ...plan, kind, port: spec.parentPort });
      return { fd, port: spec.parentPort || host.boundPort(fd) };
    } catch (error) {
      if (fallback.length > 0 && NO_IPV6.some((code) => isErrno(error, code)))
        return openListener(spec, fallback, host);
      // The kernel may pick a port that another socket is bound to with SO_REUSEADDR; listen(2) finds out.
      if (spec.parentPort === 0 && isErrno(error, "EADDRINUSE") && attempt < ATTEMPTS) continue;
      throw listenError(spec, plan, kind, error, host);
    }
  }
}

/** A port that is free now for somebody else to bind: the spec's own, or one that the kernel picks. Throws as `openListener`. */
export function probePort(spec: PortSpec, plan: SocketPlan, host: ListenHost = thisHost): number {
  const { fd, port } = openListener(spec, [plan], host);
  host.close(fd);
  return port;
}

/** Where a plan's socket is, for looking it up. */
export function whereabouts(plan: SocketPlan, kind: Wanted["kind"], port: number): Wanted {
  const families: Wanted["families"] = plan.family === 4 ? [4] : plan.v6only ? [6] : [6, 4];
  return { kind, address: parseAddress(plan.address), families, port };
}

// As Go prints them, and so as people know them.
const REASONS: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  EAFNOSUPPORT: "address family not supported by protocol",
  EINVAL: "invalid argument",
  EMFILE: "too many open files",
  ENFILE: "too many open files in system",
  ENODEV: "no such device",
  ENOBUFS: "no buffer space available",
  EPERM: "operation not permitted",
};

function listenError(
  spec: PortSpec,
  plan: SocketPlan,
  kind: Wanted["kind"],
  cause: unknown,
  host: ListenHost,
): RlkitError {
  const code = (cause as { code?: unknown }).code;
  if (!(cause instanceof Error) || typeof code !== "string") throw cause;
  const { parentPort } = spec;
  let text = `listen ${listenName(spec)}: bind: ${REASONS[code] ?? code}`;
  let hint: string | undefined;
  if (code === "EADDRINUSE") {
    const holder = parentPort === 0 ? undefined : host.holder(whereabouts(plan, kind, parentPort));
    if (holder !== undefined) text += `: held by ${holder}`;
    hint = "stop who holds it, or publish on another port (0 picks a free one)";
  } else if (code === "EACCES") {
    const start = host.unprivilegedPortStart();
    if (start !== undefined && parentPort > 0 && parentPort < start) {
      const setting = `net.ipv4.ip_unprivileged_port_start=${parentPort}`;
      text = `cannot expose privileged port ${parentPort}, you can add '${setting}' to /etc/sysctl.conf (currently ${start}), or choose a larger port number (>= ${start}): ${text}`;
      hint = `sudo sysctl -w ${setting}`;
    }
  } else if (code === "EADDRNOTAVAIL") {
    hint = `this host's addresses: ${host.addresses().slice(0, 12).join(", ")}`;
  } else if (code === "EINVAL" && plan.address.startsWith("fe80:") && !plan.address.includes("%")) {
    hint = `a link-local address needs its interface: [${plan.address}%eth0]`;
  }
  return new RlkitError("PORT", text, { hint, cause });
}
