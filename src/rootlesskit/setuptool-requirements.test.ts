import { expect, test } from "vitest";
import type { Machine } from "../host/machine.ts";
import { requirements, rootScript } from "./setuptool-requirements.ts";

interface Given {
  programs?: readonly string[];
  files?: Readonly<Record<string, string>>;
  delegated?: readonly string[];
  iptables?: string;
}

const all = ["newuidmap", "iptables", "apt-get", "getsubids"];
const none: Record<string, string> = {};

function machine({ programs = all, files = none, delegated = ["a", "-g a"], iptables = "nf_tables" }: Given): Machine {
  return {
    env: {},
    user: { name: "a", uid: 1000 },
    has: (program) => programs.includes(program),
    read: (path) => files[path],
    run: ([program, ...args]) =>
      program === "getsubids"
        ? { status: delegated.includes(args.join(" ")) ? 0 : 1, output: "" }
        : { status: 0, output: `iptables v1.8.9 (${iptables})` },
  };
}

const lines = (given: Given, skip = false, works = true): string[] =>
  requirements(machine(given), skip, () => works).instructions.flatMap((each) => each.lines);

test("nothing is missing", () => {
  expect(requirements(machine({}), false, () => true)).toEqual({
    instructions: [],
    hopeless: undefined,
    noIptables: false,
  });
});

test.each<[string, Given, string[]]>([
  ["newuidmap, Debian", { programs: ["iptables", "apt-get", "getsubids"] }, ["apt-get install -y uidmap"]],
  ["newuidmap, Fedora", { programs: ["iptables", "dnf", "getsubids"] }, ["dnf install -y shadow-utils"]],
  ["newuidmap, CentOS 7", { programs: ["iptables", "yum", "getsubids"] }, ["yum install -y shadow-utils"]],
  ["iptables", { programs: ["newuidmap", "dnf", "getsubids"] }, ["dnf install -y iptables"]],
  [
    "Debian's switch",
    { files: { "/proc/sys/kernel/unprivileged_userns_clone": "0\n" } },
    ["cat <<EOT > /etc/sysctl.d/50-rootless.conf", "kernel.unprivileged_userns_clone = 1", "EOT", "sysctl --system"],
  ],
  [
    "CentOS 7's switch",
    { files: { "/proc/sys/user/max_user_namespaces": "0\n" } },
    ["cat <<EOT > /etc/sysctl.d/51-rootless.conf", "user.max_user_namespaces = 28633", "EOT", "sysctl --system"],
  ],
  ["sub-uids", { delegated: ["-g a"] }, ['echo "a:100000:65536" >> /etc/subuid']],
  ["sub-gids", { delegated: ["a"] }, ['echo "a:100000:65536" >> /etc/subgid']],
])("%s is missing: what root is to run", (_, given, expected) => {
  expect(lines(given)).toEqual(expected);
});

test("sub-ids may be delegated to the uid, or stand in the files where there is no getsubids", () => {
  expect(lines({ delegated: ["1000", "-g 1000"] })).toEqual([]);
  const files = { "/etc/subuid": "b:1:2\na:100000:65536\n", "/etc/subgid": "1000:100000:65536\n" };
  const programs = ["newuidmap", "iptables", "apt-get"];
  expect(lines({ programs, files })).toEqual([]);
  expect(lines({ programs, files: { "/etc/subuid": "ab:1:2\n", "/etc/subgid": "" } })).toHaveLength(2);
});

test("switches that are on, and those that a kernel does not have, are no obstacle", () => {
  const files = { "/proc/sys/kernel/unprivileged_userns_clone": "1\n", "/proc/sys/user/max_user_namespaces": "1\n" };
  expect(lines({ files })).toEqual([]);
});

test.each([
  ["nf_tables", "modprobe nf_tables"],
  ["legacy", "modprobe ip_tables"],
])("iptables (%s) that does not work inside wants its module, unless it is skipped", (iptables, expected) => {
  expect(lines({ iptables }, false, false)).toEqual([expected]);
  expect(lines({ iptables }, true, false)).toEqual([]);
  expect(requirements(machine({ iptables }), true, () => false).noIptables).toBe(true);
});

test("without a known package manager there is a name, and no command", () => {
  const { hopeless, instructions } = requirements(machine({ programs: ["iptables", "getsubids"] }), false, () => true);
  expect([hopeless, instructions]).toEqual(["newuidmap binary not found. Please install with a package manager.", []]);
});

test("the block for root", () => {
  expect(rootScript([{ about: "Install x", lines: ["apt-get install -y x"] }])).toBe(
    "\n########## BEGIN ##########\nsudo sh -eux <<EOF\n# Install x\napt-get install -y x\nEOF\n########## END ##########\n",
  );
});
