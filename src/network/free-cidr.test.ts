import { expect, test } from "vitest";
import { parseCidr } from "../options/cidr.ts";
import { ipv4 } from "./driver.ts";
import { freeCidr } from "./free-cidr.ts";

const shown = ({ base, prefix }: { base: number; prefix: number }): string => `${ipv4(base)}/${prefix}`;

test.each([
  ["no route", [], "10.0.2.0/24"],
  ["a route elsewhere", ["10.0.3.0/24"], "10.0.2.0/24"],
  ["a route to it", ["10.0.2.0/24"], "10.200.102.0/24"],
  ["a route to one of its hosts", ["10.0.2.15/32"], "10.200.102.0/24"],
  ["a route to a larger network", ["10.0.0.0/16"], "10.200.102.0/24"],
  ["and the first one that stands in is somebody's, too", ["10.0.0.0/16", "10.200.0.0/17"], "10.200.142.0/24"],
  ["all of 10/8: nothing else can be had", ["10.0.0.0/8"], "10.0.2.0/24"],
])("%s", (_, routes, expected) => {
  const routed = routes.map((text) => {
    const [address = "", prefix] = text.split("/");
    const base = address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);
    return { base, prefix: Number(prefix) };
  });
  const chosen = freeCidr(parseCidr(undefined), routed);
  expect(shown(chosen)).toBe(expected);
  expect(chosen.insteadOf).toBe(expected === "10.0.2.0/24" ? undefined : "10.0.2.0/24");
  expect(freeCidr(parseCidr("10.0.2.0/24"), routed)).toEqual(parseCidr("10.0.2.0/24"));
});
