import { expect, test } from "vitest";
import { ipv4 } from "./driver.ts";
import { hasDefaultRoute, routedNetworks } from "./routes.ts";

const HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";
const row = (destination: string, mask: string): string =>
  `eth0\t${destination}\t00000000\t0001\t0\t0\t0\t${mask}\t0\t0\t0\n`;
const DEFAULT = row("00000000", "00000000");

test("the networks of the routing table; the default route is none", () => {
  const text = HEAD + DEFAULT + row("0002000A", "00FFFFFF") + row("0000A8C0", "0000FFFF");
  expect(routedNetworks(text).map(({ base, prefix }) => `${ipv4(base)}/${prefix}`)).toEqual([
    "10.0.2.0/24",
    "192.168.0.0/16",
  ]);
  expect(routedNetworks("")).toEqual([]);
});

test("whether there is a default route", () => {
  expect(hasDefaultRoute(HEAD + row("0002000A", "00FFFFFF") + DEFAULT)).toBe(true);
  expect(hasDefaultRoute(HEAD + row("0002000A", "00FFFFFF"))).toBe(false);
  expect(hasDefaultRoute(HEAD + row("00000000", "00000080"))).toBe(false); // 0.0.0.0/1, of a VPN
  expect(hasDefaultRoute("")).toBe(false);
});
