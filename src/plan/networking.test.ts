import { describe, expect, test } from "vitest";
import { etcAndRun, facts, names, operations, plan, step } from "../../test/helpers/plans.ts";
import { Clone, Mount } from "./operations.ts";
import type { Step } from "./steps.ts";

describe("the network", () => {
  test("of the host has no step at all", () => {
    const order = names(plan(["--net=host", "ls"]).steps);
    expect(order).toEqual([
      ...["lock-state-dir", "start-init", "unshare", "write-id-maps"],
      "mount", // the propagation
      ...["write-child-pid", "listen-api", "start-target"],
    ]);
  });

  test("none is lo alone, with the host's own resolv.conf", () => {
    const order = names(plan(["--net=none", "ls"]).steps);
    expect(order.filter((name) => !["mount", "unshare"].includes(name)).slice(3, -3)).toEqual(["link_up", "netlink"]);
    expect(operations(plan(["--net=none", "ls"]).steps, "link_up")).toEqual([["link_up", "lo"]]);
  });

  test("of slirp4netns: tap device, addresses and DNS of the network that was asked for", () => {
    const { steps } = plan(["--net=slirp4netns", "--cidr=10.9.0.0/24", "--ifname=net7", "--mtu=1400", "ls"]);
    expect(operations(steps, "tap")).toEqual([["tap", "net7"]]);
    expect(operations(steps, "addr_add")).toEqual([["addr_add", "net7", "10.9.0.100", 24]]);
    expect(operations(steps, "route_default")).toEqual([["route_default", "net7", "10.9.0.2"]]);
    expect(operations(steps, "link_mtu")).toEqual([["link_mtu", "net7", 1400]]);
    const { path, args } = step(steps, "start-helper");
    expect(path).toBe("/usr/bin/slirp4netns");
    expect(args.join(" ")).toBe(
      "--mtu 1400 --ready-fd 3 --cidr 10.9.0.0/24 --enable-sandbox --enable-seccomp {child} net7",
    );
    expect(step(steps, "write-state-file")).toMatchObject({ name: "resolv.conf", content: "nameserver 10.9.0.3\n" });
  });

  test("of pasta: it is told all of it, since it configures its interface itself", () => {
    const { steps } = plan(["--net=pasta", "--cidr=10.9.0.0/24", "--ifname=net7", "--disable-host-loopback", "ls"]);
    const { args } = step(steps, "start-helper");
    const text = args.join(" ");
    expect(text).toMatch(/^--foreground --stderr --pid \{pid-file\} --config-net .* \{child\}$/);
    for (const words of ["--ns-ifname net7", "--mtu 65520", "--address 10.9.0.100", "--gateway 10.9.0.2"]) {
      expect(text).toContain(words);
    }
    for (const words of ["--dns-forward 10.9.0.3", "--no-map-gw", "--ipv4-only"]) expect(text).toContain(words);
    // Nothing of the host's loopback inside, nothing of the namespace outside.
    for (const words of ["--tcp-ports none", "--udp-ports none", "--tcp-ns none", "--udp-ns none"]) {
      expect(text).toContain(words);
    }
    expect(operations(steps, "addr_add")).toEqual([]);
  });

  test("--ipv6 adds its DNS server", () => {
    const { steps } = plan(["--net=slirp4netns", "--ipv6", "ls"]);
    expect(step(steps, "write-state-file").content).toBe("nameserver 10.0.2.3\nnameserver fd00::3\n");
    expect(step(steps, "start-helper").args).toContain("--enable-ipv6");
  });

  test.each([
    ["slirp4netns", "--disable-host-loopback"],
    ["pasta", "--no-map-gw"],
  ])("of %s: the way to the host's loopback is closed where that is asked for", (net, option) => {
    expect(step(plan([`--net=${net}`, "ls"]).steps, "start-helper").args).not.toContain(option);
    const closed = plan([`--net=${net}`, "--disable-host-loopback", "ls"]);
    expect(step(closed.steps, "start-helper").args).toContain(option);
  });

  test("brings a /sys of its own, read-only where it can't be had writable, and keeps the cgroup tree", () => {
    const mounts = plan(["ls"]).steps.flatMap((each) =>
      each.do === "inside" && each.op[0] === "mount" && `${each.op[1]} ${each.op[2]}`.includes("sys") ? [each] : [],
    );
    const flags = Mount.noSuid | Mount.noDev | Mount.noExec;
    expect(mounts).toMatchObject([
      { op: ["mount", "/sys/fs/cgroup", "/tmp", "", Mount.bind | Mount.recursive, ""], onFailure: "warn" },
      { op: ["mount", "sysfs", "/sys", "sysfs", flags, ""], onFailure: "ignore" },
      { op: ["mount", "sysfs", "/sys", "sysfs", flags | Mount.readOnly, ""], onFailure: "warn", ifFailed: true },
      { op: ["mount", "/tmp", "/sys/fs/cgroup", "", Mount.move, ""], onFailure: "warn" },
    ]);
  });

  test("hosts is the host's own, and its name", () => {
    const files = plan(["ls"]).steps.filter(({ do: kind }) => kind === "write-state-file");
    expect(files).toContainEqual(
      expect.objectContaining({
        name: "hosts",
        content: "127.0.0.1 localhost\n\n127.0.0.1 thishost\n::1 thishost\n",
      }),
    );
  });

  test("what is bound onto /etc stops the run where /etc is copied up, and only warns elsewhere", () => {
    const bound = (steps: readonly Step[]) =>
      steps.filter((each) => each.do === "inside" && each.op[0] === "mount" && each.op[2] === "/etc/resolv.conf");
    const plain = plan(["ls"]).steps;
    const copied = plan(["--copy-up=/etc", "ls"], { copyUp: etcAndRun.slice(0, 1) }).steps;
    expect(bound(plain)).toMatchObject([{ onFailure: "warn" }]);
    expect(bound(copied)).toMatchObject([{ onFailure: "stop" }]);
    expect(operations(copied, "unlink")).toContainEqual(["unlink", "/etc/resolv.conf"]);
    expect(operations(plain, "unlink")).toEqual([]);
  });

  describe("where root inside is not the caller, and may not look into the state directory", () => {
    const another = ["--uid-map=0:100000:9", "--gid-map=0:100000:9", "ls"];
    const ofEtc = (steps: readonly Step[]) =>
      steps.flatMap((each) =>
        each.do === "inside" && each.op.some((field) => /^.(etc.(resolv.conf|hosts)|tmp(.\w.*)?)$/.test(String(field)))
          ? [each.op.slice(0, 3)]
          : [],
      );

    test("the files are written inside, and no place for them is left", () => {
      expect(ofEtc(plan(another).steps).slice(-6)).toEqual([
        ["mount", "none", "/tmp"],
        ["write_file", "/tmp/resolv.conf", 0o101],
        ["mount", "/tmp/resolv.conf", "/etc/resolv.conf"],
        ["write_file", "/tmp/hosts", 0o101],
        ["mount", "/tmp/hosts", "/etc/hosts"],
        ["umount", "/tmp", 0],
      ]);
    });

    test("a copied-up /etc takes them as they are", () => {
      const { steps } = plan(["--copy-up=/etc", ...another], { copyUp: etcAndRun.slice(0, 1) });
      expect(ofEtc(steps).slice(-4)).toEqual([
        ["unlink", "/etc/resolv.conf"],
        ["write_file", "/etc/resolv.conf", 0o101],
        ["unlink", "/etc/hosts"],
        ["write_file", "/etc/hosts", 0o101],
      ]);
    });

    test("a hosts file that init can't take at once stays the host's", () => {
      const { steps } = plan(another, { hostsFile: "127.0.0.1 advertisement\n".repeat(10_000) });
      expect(operations(steps, "write_file").map(([, path]) => path)).not.toContain("/tmp/hosts");
    });

    test("there is no detached network namespace: nothing could be mounted in the state directory", () => {
      expect(() => plan(["--detach-netns", ...another])).toThrow(expect.objectContaining({ code: "USAGE" }));
    });
  });

  test.each([
    ["no helper", { slirp4netns: undefined, pasta: undefined }, "NETWORK"],
    ["no /dev/net/tun", { tunProblem: "there is no /dev/net/tun on this machine" }, "TUN"],
  ])("%s: there is no plan", (_, network, code) => {
    expect(() => plan(["ls"], { network: { ...facts.network, ...network } })).toThrow(
      expect.objectContaining({ code }),
    );
    expect(() => plan(["--net=none", "ls"], { network: { ...facts.network, ...network } })).not.toThrow();
  });
});

describe("a detached network namespace", () => {
  test.each(["host", "none", "slirp4netns", "pasta"])("--net=%s: the target stays in the host's", (net) => {
    const { steps } = plan([`--net=${net}`, "--detach-netns", "--state-dir=/s", "ls"]);
    expect(operations(steps, "detach_netns")).toEqual([["detach_netns", "/s/netns"]]);
    const unshared = operations(steps, "unshare").map(([, flags]) => Number(flags));
    for (const flags of unshared) expect(flags & Clone.net).toBe(0);
    const order = names(steps);
    if (net === "slirp4netns") expect(order.indexOf("detach_netns")).toBeLessThan(order.indexOf("tap"));
    expect(operations(steps, "mount").map(([, , target]) => target)).not.toContain("/sys");
    expect(operations(steps, "mount").map(([, , target]) => target)).not.toContain("/etc/resolv.conf");
  });
});

describe("sockets that would be lost", () => {
  const notes = (env: Record<string, string>, ...argv: string[]) => plan([...argv, "ls"], {}, env).notes;

  test("an abstract one is warned of, where the network namespace is another", () => {
    const env = { DBUS_SESSION_BUS_ADDRESS: "unix:abstract=/tmp/dbus-x,guid=1" };
    expect(notes(env, "--net=none")).toEqual([
      { level: "warn", text: expect.stringMatching(/^DBUS_SESSION_BUS_ADDRESS names an abstract socket/) },
    ]);
    expect(notes(env, "--net=host")).toEqual([]);
    expect(notes(env, "--net=none", "--detach-netns")).toEqual([]);
  });

  test("one with a path is not", () => {
    expect(notes({ DBUS_SESSION_BUS_ADDRESS: "unix:path=/run/user/1/bus" }, "--net=none")).toEqual([]);
  });
});
