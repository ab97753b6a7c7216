import { expect, test } from "vitest";
import { type MadeUp, madeUpMachine, someIds } from "./made-up-machine.ts";
import { checkAsJson, printCheck } from "./print.ts";
import { check } from "./run.ts";

const text = async (machine: MadeUp, colours = false): Promise<string> =>
  printCheck(await check(madeUpMachine(machine)), { colours });

const broken: MadeUp = {
  ids: { ids: someIds([]) },
  network: { tunProblem: "there is no /dev/net/tun on this machine" },
  statuses: { "/var/lib/systemd/linger/alice": undefined },
  files: { "/proc/sys/net/ipv4/ip_unprivileged_port_start": "1024\n" },
};

test("a line for each requirement, then what is wrong and what mends it, then one block for root", async () => {
  const printed = await text(broken);
  expect(printed).toContain("✓ kernel                   Linux 6.12.0-amd64\n");
  expect(printed).toContain("✗ 65536 subordinate ids    alice (1000) has no subordinate uids in /etc/subuid…\n");
  expect(printed).toContain("- storage driver           needs: subids\n");
  expect(printed).toContain(
    [
      "✗ 65536 subordinate ids (subids)",
      "  alice (1000) has no subordinate uids in /etc/subuid, and no gids in",
      "  /etc/subgid.",
      "  Tried: /etc/subuid, /etc/subgid, or what nsswitch.conf names (getsubids).",
      "  as root:",
      "    usermod --add-subuids 100000-165535 --add-subgids 100000-165535 alice",
      "",
    ].join("\n"),
  );
  expect(printed).toContain(
    [
      "sudo sh -eux <<'EOF'",
      "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 alice",
      "mkdir -p /dev/net",
      "[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200",
      "chmod 0666 /dev/net/tun",
      "loginctl enable-linger alice",
      "EOF",
      "",
    ].join("\n"),
  );
  expect(printed).toContain(
    "If wanted:\n  as root, to publish ports from 80 on:\n    echo net.ipv4.ip_unprivileged_port_start=80 >>",
  );
  expect(printed).toMatch(/\nA rootless dockerd can't run here yet: 2 failures, 1 warning, \d+ ok, 7 skipped\.\n$/);
});

test("a good machine has a table and a sentence", async () => {
  const lines = (await text({})).split("\n");
  expect(lines.filter((line) => line.startsWith("✓"))).toHaveLength(lines.length - 3);
  expect(lines.at(-2)).toMatch(/^A rootless dockerd can run here: 0 failures, 0 warnings, \d+ ok, 0 skipped\.$/);
});

test.each<[string, MadeUp]>([
  ["a good machine", {}],
  ["a broken one", broken],
  ["su without a session", { env: {}, statuses: { "/run/user/1000": undefined } }],
  ["a container", { container: "kubernetes", proc: "EPERM" }],
])("no line has more than 80 columns, but for commands: %s", async (_, machine) => {
  const lines = (await text(machine)).split("\n");
  expect(lines.filter((line) => line.length > 80 && !/^ {4}|^\S+ .*(>|-)/.test(line))).toEqual([]);
  expect(lines.filter((line) => / $/.test(line))).toEqual([]);
});

test("colours only where they are asked for", async () => {
  expect(await text(broken)).not.toContain("\u001b");
  expect(await text(broken, true)).toContain("\u001b[31m✗\u001b[0m 65536 subordinate ids");
});

test("for programs: every result with its mending, and root's lines", async () => {
  const results = await check(madeUpMachine({ ids: { ids: someIds([]) } }));
  const { ok, checks, root } = JSON.parse(checkAsJson(results));
  expect(ok).toBe(false);
  expect(root).toEqual(["usermod --add-subuids 100000-165535 --add-subgids 100000-165535 alice"]);
  expect(checks).toHaveLength(results.length);
  expect(checks[4]).toEqual({
    id: "subids",
    title: "65536 subordinate ids",
    verdict: "failure",
    tried: "/etc/subuid, /etc/subgid, or what nsswitch.conf names (getsubids)",
    found: "alice (1000) has no subordinate uids in /etc/subuid, and no gids in /etc/subgid",
    fix: [{ who: "root", lines: root, note: null, optional: false }],
  });
});
