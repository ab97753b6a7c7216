import { expect, test } from "vitest";
import type { Status } from "../supervisor/status.ts";
import { type Look, printStatus } from "./status-screen.ts";

const status: Status = {
  version: "1",
  stateDir: "/run/user/1000/dockerd-rootless",
  pid: 1,
  phase: "ready",
  since: 0,
  degraded: [
    "rlkit-ns portd failed 5 times within 60 s: published ports are not served until it comes back; next try in 30 s",
  ],
  target: { name: "dockerd", command: ["dockerd"], pid: 12, startedAt: 0, readyAfter: 300 },
  restarts: { policy: "on-failure", count: 1, latest: [{ at: 0, reason: `failed: ${"a word ".repeat(20)}`.trim() }] },
  network: { driver: "pasta", up: true, restarts: 0, dns: "10.0.2.3" },
  ports: { driver: "builtin", count: 0, orphans: 0 },
  processes: ["rlkit", "rlkit-ns init", "rlkit-ns portd", "slirp4netns", "pasta"].map((name, pid) => ({
    name,
    pid,
    rss: 99_000_000,
  })),
  lastLines: [],
  logFile: null,
};

const look: Look = {
  status,
  info: { apiVersion: "1", version: "1", stateDir: "/s", childPID: 1 },
  ports: undefined,
};

test("sentences, however long, stay beside their label at 80 columns", async () => {
  const text = await printStatus(look, 4000);
  expect(text.split("\n").filter((line) => line.length > 80)).toEqual([]);
  expect(text).toContain(`
DEGRADED   rlkit-ns portd failed 5 times within 60 s: published ports are not
           served until it comes back; next try in 30 s
restarts   1 (policy on-failure)
           4.0 s ago: failed: a word a word`);
});
