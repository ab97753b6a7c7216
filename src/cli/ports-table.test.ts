import { describe, expect, test } from "vitest";
import type { Info } from "../api/info.ts";
import { type ListedPort, printPorts, ratesBetween } from "./ports-table.ts";

const about = (driver: "builtin" | "slirp4netns"): Info => ({
  apiVersion: "1.1.2",
  version: "1",
  stateDir: "/s",
  childPID: 1,
  networkDriver: { driver: "slirp4netns", childIP: "10.0.2.100" },
  portDriver: {
    driver,
    protos: driver === "builtin" ? ["tcp", "tcp6"] : ["tcp"],
    capabilities: { ipv6: false, udp: false, sourceIP: [] },
  },
});

const port = (id: number, spec: Partial<ListedPort["spec"]>, accepted?: number): ListedPort => ({
  id,
  spec: { proto: "tcp", parentPort: 8000 + id, childPort: 80, ...spec },
  ...(accepted !== undefined && {
    counters: { open: 1, accepted, bytesIn: accepted * 1000, bytesOut: accepted * 10, failed: 0, plain: 0 },
  }),
});

const cells = (table: string): string[][] =>
  table
    .trimEnd()
    .split("\n")
    .map((line) => line.trim().split(/ {2,}/));

describe("ports", () => {
  test("are shown with all addresses", async () => {
    const ports = [
      port(1, {}),
      port(2, { proto: "tcp4" }),
      port(3, { proto: "udp6", childIP: "::1" }),
      port(4, { parentIP: "::1", childIP: "10.0.2.100" }),
      port(12, { parentIP: "127.0.0.3" }),
    ];
    expect(cells(await printPorts(ports, about("builtin")))).toEqual([
      ["ID", "PROTO", "HOST", "INSIDE"],
      ["1", "tcp", "*:8001", "127.0.0.1:80"],
      ["2", "tcp4", "0.0.0.0:8002", "127.0.0.1:80"],
      ["3", "udp6", "[::]:8003", "[::1]:80"],
      ["4", "tcp", "[::1]:8004", "10.0.2.100:80"],
      ["12", "tcp", "127.0.0.3:8012", "127.0.0.3:80"],
    ]);
    expect(cells(await printPorts([port(1, {})], about("slirp4netns")))[1]).toEqual([
      "1",
      "tcp",
      "0.0.0.0:8001",
      "10.0.2.100:80",
    ]);
  });

  test("have counters where the driver counts", async () => {
    const ports = [port(1, {}, 2), port(2, {})];
    expect(cells(await printPorts(ports, about("builtin")))).toEqual([
      ["ID", "PROTO", "HOST", "INSIDE", "OPEN", "TOTAL", "IN", "OUT"],
      ["1", "tcp", "*:8001", "127.0.0.1:80", "1", "2", "2.0 KiB", "20 B"],
      ["2", "tcp", "*:8002", "127.0.0.1:80", "-", "-", "-", "-"],
    ]);
  });

  test("have rates once they have been seen twice", async () => {
    const before = [port(1, {}, 2)];
    const after = [port(1, {}, 12), port(2, {}, 1)];
    const [head, first, second] = cells(
      await printPorts(after, about("builtin"), { rates: ratesBetween(before, after, 2) }),
    );
    expect(head?.slice(-3)).toEqual(["NEW/s", "IN/s", "OUT/s"]);
    expect(first?.slice(-3)).toEqual(["5", "4.9 KiB", "50 B"]);
    expect(second?.slice(-3)).toEqual(["-", "-", "-"]);
  });

  const headsIn = async (width: number | undefined): Promise<string | undefined> => {
    const ports = [port(1, { parentIP: "0.0.0.0", childIP: "172.17.0.2" }, 120)];
    const table = await printPorts(ports, about("builtin"), { rates: ratesBetween(ports, ports, 1), width });
    const [head = ""] = table.split("\n");
    if (width !== undefined) expect(head.length).toBeLessThanOrEqual(width);
    return head.replaceAll(/ +/g, " ");
  };

  test("keep their rates where there is no room for all of it", async () => {
    const all = "ID PROTO HOST INSIDE OPEN TOTAL IN OUT NEW/s IN/s OUT/s";
    expect(await headsIn(undefined)).toBe(all);
    expect(await headsIn(100)).toBe(all);
    expect(await headsIn(80)).toBe("ID PROTO HOST INSIDE OPEN TOTAL NEW/s IN/s OUT/s");
    expect(await headsIn(65)).toBe("ID PROTO HOST INSIDE OPEN NEW/s IN/s OUT/s");
    expect(await headsIn(50)).toBe("ID PROTO HOST OPEN NEW/s IN/s OUT/s");
  });
});

test("rates are by the second, and unknown for a port whose counters began again", () => {
  const rates = ratesBetween(
    [port(1, {}, 10), port(2, {}, 10), port(3, {})],
    [port(1, {}, 10), port(2, {}, 3), port(3, {})],
    1,
  );
  expect([...rates]).toEqual([[1, { accepted: 0, bytesIn: 0, bytesOut: 0 }]]);
});
