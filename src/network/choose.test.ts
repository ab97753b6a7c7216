import { describe, expect, test } from "vitest";
import { chooseNetwork, type NetworkFacts, networkName } from "./choose.ts";
import type { NetworkName } from "./driver.ts";
import { pasta } from "./pasta.ts";
import { slirp4netns } from "./slirp4netns.ts";

const all: NetworkFacts = {
  slirp4netns: { path: "/usr/bin/slirp4netns", features: new Set(slirp4netns.probes) },
  pasta: { path: "/usr/bin/pasta", features: new Set(pasta.probes) },
  tunProblem: undefined,
  defaultRoute: true,
};
const TUN = "there is no /dev/net/tun on this machine";

test.each(["host", "none"] as const)("--net=%s needs no helper and nothing of the host", (name) => {
  const nothing = { slirp4netns: undefined, pasta: undefined, tunProblem: TUN, defaultRoute: false };
  expect(chooseNetwork(name, nothing)).toMatchObject({ kind: name });
});

describe("auto takes", () => {
  test.each<[string, Partial<NetworkFacts>, string, string]>([
    ["pasta, the faster one", {}, "pasta", "the fastest helper"],
    ["pasta where slirp4netns is missing", { slirp4netns: undefined }, "pasta", "the fastest helper"],
    [
      "slirp4netns where pasta is missing",
      { pasta: undefined },
      "slirp4netns",
      "not pasta, because pasta is not on PATH",
    ],
    ["slirp4netns where there is no default route", { defaultRoute: false }, "slirp4netns", "no default route"],
    [
      "slirp4netns where pasta was tried",
      { pastaFailure: "pasta ended" },
      "slirp4netns",
      "not pasta, because pasta ended",
    ],
    [
      "slirp4netns where pasta is too old",
      { pasta: { path: "/opt/pasta", features: new Set(["--config-net"]) } },
      "slirp4netns",
      "/opt/pasta is too old: it has no --ns-ifname, --dns-forward, --pid",
    ],
  ])("%s", (_, facts, driver, why) => {
    expect(chooseNetwork("auto", { ...all, ...facts })).toMatchObject({
      kind: "helper",
      driver: { name: driver },
      why: expect.stringContaining(why),
    });
  });
});

test.each(["slirp4netns", "pasta"] as const)("--net=%s takes that one", (name) => {
  expect(chooseNetwork(name, all)).toMatchObject({ driver: { name }, helper: all[name], why: "asked for" });
});

describe("refuses, and names what is in the way and what to do:", () => {
  test.each<[NetworkName, Partial<NetworkFacts>, string, string, RegExp]>([
    ["slirp4netns", { slirp4netns: undefined }, "NETWORK", "slirp4netns is not on PATH", /apt-get install/],
    ["pasta", { pasta: undefined }, "NETWORK", "pasta is not on PATH", /apt-get install/],
    ["pasta", { defaultRoute: false }, "NETWORK", "the host has no default route", /--net=auto/],
    [
      "slirp4netns",
      { slirp4netns: { path: "/old", features: new Set() } },
      "NETWORK",
      "/old is too old: it has no --netns-type",
      /--net=auto/,
    ],
    [
      "auto",
      { slirp4netns: undefined, pasta: undefined },
      "NETWORK",
      "pasta is not on PATH; slirp4netns is not on PATH",
      /apt-get/,
    ],
    ["auto", { slirp4netns: undefined, defaultRoute: false }, "NETWORK", "no default route", /apt-get install/],
    ["slirp4netns", { tunProblem: TUN }, "TUN", TUN, /chmod 0666 \/dev\/net\/tun/],
    ["pasta", { tunProblem: TUN }, "TUN", TUN, /chmod 0666 \/dev\/net\/tun/],
    ["auto", { tunProblem: TUN }, "TUN", TUN, /chmod 0666 \/dev\/net\/tun/],
  ])("--net=%s with %j", (name, facts, code, message, hint) => {
    const act = () => chooseNetwork(name, { ...all, ...facts });
    expect(act).toThrow(message);
    expect(act).toThrow(expect.objectContaining({ code, hint: expect.stringMatching(hint), exitStatus: 125 }));
  });
});

describe("RootlessKit's other networks", () => {
  const gvproxy = { path: "/usr/bin/gvproxy", features: new Set(["-listen-vpnkit", "-config"]) };

  test.each<[NetworkName, Partial<NetworkFacts>, object]>([
    ["vpnkit", { vpnkit: { path: "/usr/bin/vpnkit", features: new Set() } }, { kind: "helper", why: "asked for" }],
    ["gvisor-tap-vsock", { "gvisor-tap-vsock": gvproxy }, { kind: "helper", helper: gvproxy }],
    [
      "lxc-user-nic",
      { lxcUserNic: { path: "/x/lxc-user-nic", hasBridge: true } },
      { kind: "bridge", path: "/x/lxc-user-nic" },
    ],
  ])("%s is taken where it is", (name, facts, expected) => {
    const network = chooseNetwork(name, { ...all, ...facts });
    expect(network).toMatchObject(expected);
    expect(network).not.toHaveProperty("insteadOf");
    expect(networkName(network)).toBe(name);
  });

  test.each<[NetworkName, Partial<NetworkFacts>, string]>([
    ["vpnkit", {}, "vpnkit is not on PATH"],
    ["gvisor-tap-vsock", {}, "gvproxy is not on PATH"],
    [
      "gvisor-tap-vsock",
      { "gvisor-tap-vsock": { path: "/old/gvproxy", features: new Set(["-listen-vpnkit"]) } },
      "/old/gvproxy is too old: it has no -config",
    ],
    ["lxc-user-nic", {}, "lxc-user-nic is not there"],
    ["lxc-user-nic", { lxcUserNic: { path: "/x", hasBridge: false } }, "this host has no such bridge"],
  ])("%s is replaced where it is not: %s", (name, facts, problem) => {
    expect(chooseNetwork(name, { ...all, ...facts })).toMatchObject({
      kind: "helper",
      driver: { name: "pasta" },
      insteadOf: { name, problem },
    });
  });

  test("where nothing can take its place, there is the error of auto", () => {
    const nothing = { tunProblem: undefined, defaultRoute: true };
    expect(() => chooseNetwork("vpnkit", nothing)).toThrow("pasta is not on PATH; slirp4netns is not on PATH");
  });
});
