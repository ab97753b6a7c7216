import type { PortCounters, PortStatus } from "../ports/driver.ts";

/** What there is to tell about one run. */
export interface Metrics {
  version: string;
  network: string;
  portDriver: string;
  ports: readonly PortStatus[];
  /** By id; undefined where the port driver has none, or can't tell now. */
  counters: ReadonlyMap<number, PortCounters> | undefined;
  /** The processes that rlkit keeps running beside the target. */
  processes: readonly { name: string; up: boolean; restarts: number }[];
}

const portLabels = ["id", "proto", "parent_ip", "parent_port", "child_ip", "child_port"] as const;

const labelsOf = ({ id, spec }: PortStatus): Record<(typeof portLabels)[number], string | number> => ({
  id,
  proto: spec.proto,
  parent_ip: spec.parentIP ?? "",
  parent_port: spec.parentPort,
  child_ip: spec.childIP ?? "",
  child_port: spec.childPort,
});

/** The metrics of one moment as Prometheus' text format, and its Content-Type. */
export async function renderMetrics(metrics: Metrics): Promise<{ type: string; body: string }> {
  const { Counter, Gauge, Registry } = await import("prom-client"); // most runs are never asked for metrics
  const registry = new Registry();
  const registers = [registry];
  const counter = <T extends string>(name: string, help: string, labelNames: readonly T[]) =>
    new Counter({ name: `rlkit_${name}`, help, labelNames, registers });
  const gauge = <T extends string>(name: string, help: string, labelNames: readonly T[]) =>
    new Gauge({ name: `rlkit_${name}`, help, labelNames, registers });

  const about = gauge("info", "Always 1; what runs is in the labels", ["version", "network", "port_driver"]);
  about.set({ version: metrics.version, network: metrics.network, port_driver: metrics.portDriver }, 1);

  const up = gauge("process_up", "Whether the target, or what rlkit needs beside it, is ready (1) or not (0)", [
    "process",
  ]);
  const restarts = counter("process_restarts_total", "How often rlkit has started a process again", ["process"]);
  for (const process of metrics.processes) {
    up.set({ process: process.name }, process.up ? 1 : 0);
    restarts.inc({ process: process.name }, process.restarts);
  }

  gauge("ports", "Published ports", []).set(metrics.ports.length);
  const bytes = counter("port_bytes_total", "Bytes forwarded; in is from clients to the target", [
    ...portLabels,
    "direction",
  ]);
  const accepted = counter("port_connections_total", "Connections (UDP: clients) so far", portLabels);
  const open = gauge("port_open_connections", "Connections (UDP: clients) now", portLabels);
  const failed = counter(
    "port_errors_total",
    "Connections that the target did not take, datagrams dropped",
    portLabels,
  );
  const plain = counter(
    "port_plain_connections_total",
    "Connections whose client's address should have been kept and could not be",
    portLabels,
  );
  for (const port of metrics.ports) {
    const counters = metrics.counters?.get(port.id);
    if (counters === undefined) continue;
    const labels = labelsOf(port);
    bytes.inc({ ...labels, direction: "in" }, counters.bytesIn);
    bytes.inc({ ...labels, direction: "out" }, counters.bytesOut);
    accepted.inc(labels, counters.accepted);
    open.set(labels, counters.open);
    failed.inc(labels, counters.failed);
    plain.inc(labels, counters.plain);
  }
  return { type: registry.contentType, body: await registry.metrics() };
}
