import type { ListenRequest } from "./portd-encoding.ts";

/** The port drivers, by the names that RootlessKit gave them. `none` and `implicit` have no ports to add: no API calls. */
export const portDriverNames = ["builtin", "slirp4netns", "pesto", "implicit", "none"] as const;
export type PortDriverName = (typeof portDriverNames)[number];

/** The protocols of a port spec. Without a digit both IP versions are meant where the address leaves that open. */
export const protos = ["tcp", "tcp4", "tcp6", "udp", "udp4", "udp6", "sctp", "sctp4", "sctp6"] as const;
export type Proto = (typeof protos)[number];

/** A port to publish, in RootlessKit's words: the parent is the host, the child is inside. */
export interface PortSpec {
  proto: Proto;
  /** Where to listen; absent: on all addresses. IPv6 may carry a zone: fe80::1%eth0. */
  parentIP?: string;
  /** 0 asks for a free one. */
  parentPort: number;
  /** Where to connect; absent: where the driver and parentIP imply. */
  childIP?: string;
  childPort: number;
}

/** A published port. `spec` is as it was asked for, with parentPort filled in where 0 asked for a free one. */
export interface PortStatus {
  id: number;
  spec: PortSpec;
}

/** For whom a port is published: only the target's are given up when the target does not come back for them. */
export type PortOwner = "user" | "target";

/** Counters of one port since it was added; `bytesIn` is from clients to the target. */
export interface PortCounters {
  /** Connections (UDP: clients) now. */
  open: number;
  accepted: number;
  bytesIn: number;
  bytesOut: number;
  /** Connections that the target did not take, datagrams dropped. */
  failed: number;
  /** Of `accepted`: those whose client's address should have been kept and could not be. */
  plain: number;
}

/** What publishes ports one by one: everything in which the drivers differ. */
export interface PortDriver {
  readonly name: "builtin" | "slirp4netns" | "pesto";
  /**
   * Publishes a valid spec under a number that the caller chooses; resolves to the spec, with the port that was picked where
   * parentPort is 0. Throws RlkitError("PORT"), and then nothing is published.
   */
  open(id: number, spec: PortSpec): Promise<PortSpec>;
  /** Ends the port and its connections. Throws RlkitError("PORT") if it may still be published. */
  close(id: number): Promise<void>;
  /** Counters by the number given to `open`; undefined where the driver has none. */
  counters(): Promise<ReadonlyMap<number, PortCounters>> | undefined;
}

/** What the builtin driver needs of the process inside that accepts and connects (portd.ts). */
export interface DataPlane {
  /** Serves a bound (and listening) socket. The caller keeps its own descriptor. */
  listen(request: ListenRequest, fd: number): Promise<void>;
  close(port: number): Promise<void>;
  counters(): Promise<ReadonlyMap<number, PortCounters>>;
}
