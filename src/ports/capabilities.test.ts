import { describe, expect, test } from "vitest";
import type { Network } from "../network/choose.ts";
import { pasta } from "../network/pasta.ts";
import { slirp4netns } from "../network/slirp4netns.ts";
import { capabilities, choosePortDriver, losses } from "./capabilities.ts";
import { type PortDriverName, portDriverNames, protos } from "./driver.ts";
import { parsePortSpec } from "./spec.ts";

const helper = (features: string[] = []) => ({ path: "/usr/bin/helper", features: new Set(features) });
const networks = {
  host: { kind: "host", why: "" },
  none: { kind: "none", why: "" },
  slirp4netns: { kind: "helper", driver: slirp4netns, helper: helper(), why: "" },
  pasta: { kind: "helper", driver: pasta, helper: helper(["--conf-path"]), why: "" },
  "old pasta": { kind: "helper", driver: pasta, helper: helper(), why: "" },
} satisfies Record<string, Network>;
type Net = keyof typeof networks;

describe("choosePortDriver takes", () => {
  test.each<[PortDriverName | "auto", Net, PortDriverName]>([
    ["auto", "host", "none"],
    ["auto", "none", "builtin"],
    ["auto", "slirp4netns", "builtin"],
    ["auto", "pasta", "builtin"],
    ["builtin", "pasta", "builtin"],
    ["builtin", "none", "builtin"],
    ["slirp4netns", "slirp4netns", "slirp4netns"],
    ["implicit", "old pasta", "implicit"],
    ["pesto", "pasta", "pesto"],
    ["none", "host", "none"],
    ["none", "pasta", "none"],
  ])("%s on %s as %s", (asked, net, driver) => {
    expect(choosePortDriver(asked, networks[net])).toBe(driver);
  });
});

describe("choosePortDriver refuses", () => {
  test.each<[PortDriverName, Net, string, RegExp]>([
    ["builtin", "host", "port driver requires non-host network", /--net=host/],
    ["slirp4netns", "host", "port driver requires slirp4netns network", /add --net=slirp4netns/],
    ["slirp4netns", "none", "port driver requires slirp4netns network", /add --net=slirp4netns/],
    ["slirp4netns", "pasta", "port driver requires slirp4netns network", /--port-driver=builtin/],
    ["implicit", "slirp4netns", "port driver requires pasta network", /add --net=pasta/],
    ["implicit", "host", "port driver requires pasta network", /add --net=pasta/],
    ["pesto", "none", "port driver requires pasta network", /add --net=pasta/],
    ["pesto", "old pasta", "/usr/bin/helper is too old: it has no --conf-path", /passt of 2026/],
  ])("%s on %s", (asked, net, message, hint) => {
    const act = () => choosePortDriver(asked, networks[net]);
    expect(act).toThrow(message);
    expect(act).toThrow(expect.objectContaining({ code: "USAGE", hint: expect.stringMatching(hint) }));
  });
});

describe("the capabilities", () => {
  test("agree with choosePortDriver on what goes together", () => {
    for (const driver of portDriverNames) {
      for (const net of ["host", "none", "slirp4netns", "pasta"] as const) {
        const goes = capabilities[driver].networks.includes(net);
        if (goes) expect(choosePortDriver(driver, networks[net])).toBe(driver);
        else expect(() => choosePortDriver(driver, networks[net])).toThrow("port driver requires");
      }
    }
  });

  test("are what RootlessKit's clients were told", () => {
    const told = (driver: PortDriverName) => [
      capabilities[driver].protos.join(" "),
      capabilities[driver].disallowLoopbackChildIP,
    ];
    expect(told("builtin")).toEqual(["tcp tcp4 tcp6 udp udp4 udp6", false]);
    expect(told("slirp4netns")).toEqual(["tcp tcp4 udp udp4", true]);
    expect(told("pesto")).toEqual(["tcp tcp4 udp udp4", true]);
    expect(capabilities.pesto.withIpv6).toEqual(["tcp6", "udp6"]);
  });

  test.each(portDriverNames)("of %s name known protocols, each once", (driver) => {
    const all = [...capabilities[driver].protos, ...capabilities[driver].withIpv6];
    expect(all).toEqual([...new Set(all)].filter((proto) => protos.includes(proto)));
  });
});

describe("losses", () => {
  test.each<[PortDriverName, string, RegExp | undefined]>([
    ["builtin", ":80:80/tcp", undefined],
    ["builtin", ":80:80/udp", /^UDP clients' addresses are not kept/],
    ["builtin", "127.0.0.1:80:80/udp", undefined],
    ["builtin", "[::1]:80:80/udp6", undefined],
    ["builtin", "192.0.2.1:80:80/udp4", /^UDP clients' addresses/],
    ["builtin", ":80:80/tcp6", /^IPv6 clients' addresses are not kept/],
    ["builtin", "[2001:db8::1]:80:80/tcp", /^IPv6 clients'/],
    ["builtin", "[::]:80:[::1]:80/tcp6", undefined],
    ["builtin", "[::1]:80:127.0.0.1:80/tcp", undefined],
    ["slirp4netns", ":80:80/tcp", /^ports are published on IPv4 only/],
    ["slirp4netns", ":80:80/udp4", undefined],
    ["slirp4netns", "0.0.0.0:80:80/tcp", undefined],
    ["pesto", ":80:80/udp", /IPv4 only/],
    ["pesto", ":80:80/tcp6", undefined],
    ["implicit", ":80:80/tcp", /^-p has no effect/],
    ["none", ":80:80/tcp", undefined],
  ])("%s with %s: %s", (driver, text, sentence) => {
    const said = losses(driver, parsePortSpec(text));
    if (sentence === undefined) expect(said).toBeUndefined();
    else expect(said).toMatch(sentence);
  });
});
