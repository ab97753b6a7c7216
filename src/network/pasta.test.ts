import { expect, test } from "vitest";
import type { Forwarding, NetworkOptions } from "./driver.ts";
import { pasta } from "./pasta.ts";

const options: NetworkOptions = {
  mtu: undefined,
  cidr: { base: 0x0a000200, prefix: 24, custom: false },
  ifname: "tap0",
  disableHostLoopback: true,
  ipv6: false,
  bridge: "",
};

const args = (forwarding: Forwarding["kind"], year: 2023 | 2025, disableHostLoopback = true): string => {
  const features = new Set(year === 2023 ? [] : ["--host-lo-to-ns-lo"]);
  const kind = forwarding === "socket" ? { kind: forwarding, path: "/s" } : { kind: forwarding };
  const helper = { path: "/usr/bin/pasta", features };
  return pasta.args({ ...options, disableHostLoopback }, helper, kind as Forwarding).join(" ");
};

const OPEN = "--tcp-ports auto --udp-ports auto";
const CLOSED = "--tcp-ns none --udp-ns none";

test("what listens on the host's loopback address is not there inside, unless pasta forwards by itself", () => {
  for (const kind of ["none", "socket"] as const) {
    expect(args(kind, 2023)).toContain(`--tcp-ports none --udp-ports none ${CLOSED}`);
  }
});

test("and then neither, where the host's loopback is to be out of reach and pasta can be told so", () => {
  expect(args("all", 2025)).toContain(`${OPEN} ${CLOSED}`);
  expect(args("all", 2023)).toContain(OPEN);
  expect(args("all", 2023)).not.toContain("--tcp-ns");
  expect(args("all", 2025, false)).not.toContain("--tcp-ns");
});

test("one that looks for ports first is ready with its route, unless IPv6 is still to be set up", () => {
  const ready = (kind: "none" | "all", ipv6: boolean) => {
    const is = pasta.ready({ ...options, ipv6 }, { kind });
    const writesPid = pasta.args({ ...options, ipv6 }, { path: "", features: new Set() }, { kind }).includes("--pid");
    expect(writesPid).toBe(is === "pid-file");
    return is;
  };
  expect([ready("all", false), ready("all", true), ready("none", false)]).toEqual(["route", "pid-file", "pid-file"]);
});
