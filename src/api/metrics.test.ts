import { expect, test } from "vitest";
import { type Metrics, renderMetrics } from "./metrics.ts";

const counters = { open: 2, accepted: 7, bytesIn: 2 ** 40, bytesOut: 11, failed: 3, plain: 1 };
const metrics: Metrics = {
  version: "1.2.3",
  network: "pasta",
  portDriver: "builtin",
  ports: [
    { id: 1, spec: { proto: "tcp", parentIP: "127.0.0.1", parentPort: 8080, childPort: 80 } },
    { id: 4, spec: { proto: "udp6", parentPort: 53, childIP: "::1", childPort: 5353 } },
  ],
  counters: new Map([[1, counters]]),
  processes: [
    { name: "pasta", up: true, restarts: 0 },
    { name: "portd", up: false, restarts: 2 },
  ],
};

const first = 'id="1",proto="tcp",parent_ip="127.0.0.1",parent_port="8080",child_ip="",child_port="80"';

test("are Prometheus' text, with a HELP and a TYPE for each name", async () => {
  const { type, body } = await renderMetrics(metrics);
  expect(type).toBe("text/plain; version=0.0.4; charset=utf-8");
  const lines = body.split("\n").filter((line) => line !== "");
  const names = new Set(lines.filter((line) => !line.startsWith("#")).map((line) => line.split(/[{ ]/, 1)[0]));
  for (const name of names) {
    expect(lines).toContainEqual(expect.stringMatching(new RegExp(`^# HELP ${name} [A-Z].{10,}`)));
    expect(lines).toContainEqual(
      expect.stringMatching(new RegExp(`^# TYPE ${name} ${name?.endsWith("_total") ? "counter" : "gauge"}$`)),
    );
    expect(name).toMatch(/^rlkit_/);
  }
  for (const line of [
    'rlkit_info{version="1.2.3",network="pasta",port_driver="builtin"} 1',
    "rlkit_ports 2",
    `rlkit_port_bytes_total{${first},direction="in"} 1099511627776`,
    `rlkit_port_bytes_total{${first},direction="out"} 11`,
    `rlkit_port_connections_total{${first}} 7`,
    `rlkit_port_open_connections{${first}} 2`,
    `rlkit_port_errors_total{${first}} 3`,
    `rlkit_port_plain_connections_total{${first}} 1`,
    'rlkit_process_up{process="pasta"} 1',
    'rlkit_process_up{process="portd"} 0',
    'rlkit_process_restarts_total{process="pasta"} 0',
    'rlkit_process_restarts_total{process="portd"} 2',
  ]) {
    expect(lines).toContain(line);
  }
  expect(body).not.toContain('id="4"'); // it has not been counted yet
});

test("tell of processes where there are no counters", async () => {
  const { body } = await renderMetrics({ ...metrics, counters: undefined });
  expect(body).toContain('rlkit_process_up{process="portd"} 0');
  expect(body).not.toContain('id="1"');
});

test("of two moments don't add up", async () => {
  await renderMetrics(metrics);
  expect((await renderMetrics(metrics)).body).toContain(`rlkit_port_connections_total{${first}} 7`);
});
