import { describe, expect, test } from "vitest";
import { runOptions } from "../cli/options.ts";
import { parseQuickly } from "../cli/parse.ts";
import { RlkitError } from "../errors.ts";
import { activation, openFilesLimit, resolveRunOptions, targetEnvironment } from "./run-options.ts";

const resolve = (...argv: string[]) => resolveRunOptions(parseQuickly(runOptions, argv), { HOME: "/home/a" }, "/there");

test("without options: the defaults of a plain command", () => {
  expect(resolve("ls", "-l")).toEqual({
    command: ["ls", "-l"],
    profile: "plain",
    instance: undefined,
    stateDir: undefined,
    network: {
      name: "auto",
      mtu: undefined,
      ifname: "tap0",
      cidr: { base: 0x0a000200, prefix: 24, custom: false },
      disableHostLoopback: false,
      ipv6: false,
      bridge: "lxcbr0",
    },
    ports: { driver: "auto", publish: [], keepClient: true, backend: "auto" },
    hostAccess: { all: true, ports: [] },
    blockMetadata: false,
    namespaces: { pid: false, uts: false, ipc: false, cgroup: false },
    detachNetns: false,
    evacuate: undefined,
    newSession: false,
    copyUp: [],
    propagation: "rprivate",
    subidSource: "auto",
    uidMap: [],
    gidMap: [],
    remap: undefined,
    env: { HOME: "/home/a" },
    activation: undefined,
    openFiles: -1,
    log: { level: "info", file: undefined },
    supervision: {
      restart: "no",
      max: undefined,
      delay: 100,
      burst: { count: 5, within: 60_000 },
      stopTimeout: undefined,
      healthInterval: 0,
      liveRestore: "auto",
      readyFd: undefined,
      manager: undefined,
    },
  });
});

test.each([
  ["nothing", {}, undefined],
  ["one socket, for us", { LISTEN_FDS: "1", LISTEN_PID: "7" }, { count: 1, own: true }],
  ["three, for whoever", { LISTEN_FDS: "3", LISTEN_PID: "8" }, { count: 3, own: false }],
  ["none", { LISTEN_FDS: "0", LISTEN_PID: "7" }, undefined],
  ["no pid", { LISTEN_FDS: "1" }, undefined],
  ["no numbers", { LISTEN_FDS: "x", LISTEN_PID: "7" }, undefined],
])("sockets of a service manager: %s", (_, env, expected) => {
  expect(activation(env, 7)).toEqual(expected);
});

test("more sockets than can be handed over, or than there are, are refused", () => {
  expect(activation({ LISTEN_FDS: "9", LISTEN_PID: "7" }, 7)).toEqual({ count: 9, own: true });
  expect(() => activation({ LISTEN_FDS: "10", LISTEN_PID: "7" }, 7)).toThrow("LISTEN_FDS=10: at most 9 sockets");
  const announced = { LISTEN_FDS: "2", LISTEN_PID: "7", RLKIT_GIVE_SOCKETS: "1" };
  expect(() => activation(announced, 7)).toThrow("LISTEN_FDS=2: descriptor 4 is not open");
});

test.each([
  ["--pidns", "--evacuate-cgroup2 requires --cgroupns"],
  ["--cgroupns", "--evacuate-cgroup2 requires --pidns"],
  ["--cgroupns --pidns --evacuate-cgroup2=a/b", "no name of a group"],
  ["--cgroupns --pidns --evacuate-cgroup2=..", "no name of a group"],
])("--evacuate-cgroup2 with %s is refused", (options, why) => {
  expect(() => resolve("--evacuate-cgroup2=a", ...options.split(" "), "ls")).toThrow(why);
});

test("--reaper=true gives the command a session of its own, and needs --pidns", () => {
  expect(resolve("--pidns", "--reaper=true", "ls").newSession).toBe(true);
  expect(resolve("--pidns", "ls").newSession).toBe(false);
  expect(() => resolve("--reaper=true", "ls")).toThrow("--reaper=true requires --pidns");
});

describe("dockerd", () => {
  test.each(["dockerd", "/usr/sbin/dockerd", "./dockerd"])("is known by its name: %s", (program) => {
    expect(resolve(program)).toMatchObject({
      profile: "docker",
      copyUp: ["/etc", "/run"],
      propagation: "rslave",
      network: { disableHostLoopback: true },
    });
  });

  test("keeps what the user says otherwise", () => {
    expect(
      resolve("--propagation=private", "--disable-host-loopback=false", "--copy-up=/opt", "dockerd"),
    ).toMatchObject({
      copyUp: ["/etc", "/run", "/opt"],
      propagation: "private",
      network: { disableHostLoopback: false },
    });
  });

  test.each(["dockerd-rootless.sh", "mydockerd", "docker"])("is not %s", (program) => {
    expect(resolve(program).profile).toBe("plain");
  });
});

test("paths are absolute from the working directory", () => {
  expect(resolve("--state-dir=state", "--log-file=../log", "ls")).toMatchObject({
    stateDir: "/there/state",
    log: { file: "/log" },
  });
});

test.each([
  [["--copy-up=/etc,/run"], ["/etc", "/run"]],
  [
    ["--copy-up=/etc", "--copy-up=/run"],
    ["/etc", "/run"],
  ],
  [["--copy-up= /etc , /run "], ["/etc", "/run"]],
  [["--copy-up=/etc/", "--copy-up=/etc", "--copy-up=/usr/../etc"], ["/etc"]],
])("%j are the directories %j", (options, directories) => {
  expect(resolve(...options, "ls").copyUp).toEqual(directories);
});

test.each([
  ["0", undefined],
  ["68", 68],
  ["1500", 1500],
  ["65521", 65521],
])("--mtu=%s is %s", (text, mtu) => {
  expect(resolve(`--mtu=${text}`, "ls").network.mtu).toBe(mtu);
});

test.each([
  ["10.0.2.0/24", 0x0a000200, 24],
  ["10.0.0.0/8", 0x0a000000, 8],
  ["192.168.128.0/25", 0xc0a88000, 25],
  ["192.0.2.128/25", 0xc0000280, 25],
])("--cidr=%s", (text, base, prefix) => {
  expect(resolve(`--cidr=${text}`, "ls").network.cidr).toEqual({ base, prefix, custom: true });
});

describe("refuses", () => {
  test.each([
    [[], "no command to run"],
    [[""], "no command to run"],
    [["--mtu=65522"], "--mtu=65522 is too large: mtu must be <= 65521"],
    [["--mtu=67"], "--mtu=67 is too small: IPv4 needs 68 bytes"],
    [
      ["--cidr=10.0.2.100/24"],
      "--cidr=10.0.2.100/24 is an address in a network, not the network: cidr must be like 10.0.2.0/24",
    ],
    [["--cidr=10.0.2.0/33"], "--cidr=10.0.2.0/33 is not an IPv4 network"],
    [["--cidr=10.0.256.0/24"], "--cidr=10.0.256.0/24 is not an IPv4 network"],
    [["--cidr=10.0.2.0/26"], "--cidr=10.0.2.0/26 must have a prefix length from 1 to 25"],
    [["--cidr=fd00::/64"], "--cidr=fd00::/64 is not an IPv4 network"],
    [["--cidr=10.0.2.0/24", "--net=none"], "--cidr is not supported for --net=none"],
    [["--cidr=10.0.2.0/24", "--net=host"], "--cidr is not supported for --net=host"],
    [["--ifname=tap1", "--net=host"], "--ifname is not supported for --net=host"],
    [["--ifname=a/b"], "--ifname=a/b is no interface name"],
    [["--ifname=1234567890123456"], "--ifname=1234567890123456 is no interface name"],
    [["--copy-up=etc"], "--copy-up=etc is not an absolute path"],
    [["--copy-up=/"], "--copy-up=/ is not possible"],
    [["--copy-up=/etc/.."], "--copy-up=/ is not possible"],
    [["--copy-up=/tmp/x"], "--copy-up=/tmp/x is not possible"],
    [["--copy-up=/etc", "--propagation=shared"], "--propagation=shared does not go with --copy-up"],
    [["--copy-up=/etc", "--propagation=rshared"], "--propagation=rshared does not go with --copy-up"],
    [["--uid-map=0:0:1"], "--uid-map needs --gid-map as well"],
    [["--map=alice"], "--map=alice is no map that rlkit knows"],
    [["--map=remap:"], "--map=remap: is no map that rlkit knows"],
    [["--map=remap:alice", "--uid-map=0:0:1"], "--map=remap:alice does not go with --uid-map and --gid-map"],
    [["--map=remap:alice", "--gid-map=0:0:1"], "--map=remap:alice does not go with --uid-map and --gid-map"],
    [["--gid-map=0:0:1"], "--gid-map needs --uid-map as well"],
  ])("%j", (options, message) => {
    const command = options.includes("") || options.length === 0 ? [] : ["ls"];
    const act = () => resolve(...options.filter((word) => word !== ""), ...command);
    expect(act).toThrow(message);
    expect(act).toThrow(expect.objectContaining({ code: "USAGE", exitStatus: 2 }));
  });

  test.each([
    ["--net=host", "--net=host is not possible with dockerd"],
    ["--propagation=rshared", "--propagation=rshared does not go with --copy-up"],
  ])("%s with dockerd", (option, message) => {
    expect(() => resolve(option, "dockerd")).toThrow(message);
    expect(() => resolve(option, "ls")).not.toThrow();
  });

  test("with an RlkitError each time, never with a defect", () => {
    expect(() => resolve("--mtu=1", "ls")).toThrow(RlkitError);
  });
});

test("--net=none with dockerd is possible", () => {
  expect(resolve("--net=none", "dockerd").network.name).toBe("none");
});

test("the options can't be changed later", () => {
  expect(Object.isFrozen(resolve("ls"))).toBe(true);
});

test("the target's environment is the caller's, with what the launcher held back and without the launcher's own", () => {
  const env = {
    HOME: "/h",
    EMPTY: "",
    RLKIT_GIVE_NODE_OPTIONS: "--inspect",
    RLKIT_GIVE_OPEN_FILES: "1024",
    GONE: undefined,
  };
  expect(targetEnvironment(env)).toEqual({ HOME: "/h", EMPTY: "", NODE_OPTIONS: "--inspect" });
});

test.each([
  ["1024", 1024],
  ["unlimited", -1],
  ["0", -1],
  ["-5", -1],
  ["4294967296", -1],
  [undefined, -1],
])("a soft limit of open files of %s is %i", (RLKIT_GIVE_OPEN_FILES, limit) => {
  expect(openFilesLimit({ RLKIT_GIVE_OPEN_FILES })).toBe(limit);
});
