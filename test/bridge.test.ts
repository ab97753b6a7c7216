import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { askJson } from "./helpers/api.ts";
import { type BridgedHost, bridgedHost } from "./helpers/bridge.ts";
import { leftovers } from "./helpers/left.ts";
import { descendants } from "./helpers/processes.ts";
import { type Running, rlkit } from "./helpers/run.ts";
import { hasLogged } from "./helpers/supervised.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

let host: BridgedHost;
let user: User;

beforeAll(async () => {
  host = await bridgedHost();
});
afterAll(() => host?.[Symbol.asyncDispose]());

beforeEach(async () => {
  user = await testUser();
});
afterEach(() => user?.[Symbol.asyncDispose]());

const stateDir = () => join(user.runtimeDir, "state");

/** A run on the bridge: `script` in a shell. */
const bridged = (script: string, ...options: string[]): Running =>
  host.rlkit(user, ["run", "--net=lxc-user-nic", `--state-dir=${stateDir()}`, ...options, "--", "sh", "-c", script]);

/** What a script writes on the bridge. */
async function output(script: string, ...options: string[]): Promise<string> {
  await using run = bridged(script, ...options);
  const { code, stdout, stderr } = await run.result();
  expect(code, stderr).toBe(0);
  return stdout.trim();
}

test("an interface on the bridge, with what its DHCP server gives: address, router, name server", async () => {
  const lines = await output(
    "ip -br -4 addr show eth0; ip route show default; cat /etc/resolv.conf; getent hosts there.test",
  );
  const [address, route, resolvConf, answer] = lines.split("\n");
  expect(address).toMatch(/^eth0@\S+ +UP +10\.0\.3\.[5-9]\d\/24/);
  expect(route?.trim()).toBe("default via 10.0.3.1 dev eth0 proto dhcp");
  expect(resolvConf).toBe("nameserver 10.0.3.1");
  expect(answer).toMatch(/^10\.0\.3\.1 +there\.test$/);
  expect(await leftovers(user)).toEqual([]);
  await until(async () => (await host.interfaces()).length === 1, { what: "the interface to go from the bridge" });
});

test("the same run gets the same address again", async () => {
  const address = () => output("ip -br -4 addr show eth0 | awk '{print $3}'");
  expect(await address()).toBe(await address());
});

test("its name and its MTU can be chosen", async () => {
  const look = "cat /sys/class/net/*/mtu; ls /sys/class/net";
  expect((await output(look, "--ifname=lan7", "--mtu=1400")).split("\n").sort()).toEqual([
    "1400",
    "65536",
    "lan7",
    "lo",
  ]);
});

test("the API says that the address is the bridge's business", async () => {
  await using run = bridged("echo ready; sleep 60");
  await until(() => run.stdout.includes("ready"), { what: run.stderr });
  const [, info] = await askJson({ user, socket: join(stateDir(), "api.sock") }, "GET", "/v1/info");
  expect(info).toMatchObject({
    networkDriver: { driver: "lxc-user-nic", dynamicChildIP: true },
    portDriver: { driver: "builtin" },
  });
  await using status = rlkit(user, ["status", `--state-dir=${stateDir()}`, "--json"]);
  expect(JSON.parse((await status.result()).stdout).network).toMatchObject({
    driver: "lxc-user-nic",
    up: true,
    dns: "10.0.3.1",
  });
});

test("a published port is reached, and the host is reached from inside", async () => {
  const serve =
    "perl -MIO::Socket::INET -e 'my $s=IO::Socket::INET->new(Listen=>1,LocalPort=>80,ReuseAddr=>1); my $c=$s->accept; print $c qq(page\\n)'";
  await using run = bridged(serve, "-p", "127.0.0.1:0:80");
  const port = /127\.0\.0\.1:(\d+)/.exec(await hasLogged(run, /published 127\.0\.0\.1:\d+/))?.[1];
  await using client = host.start(["curl", "--silent", "--http0.9", "--max-time", "5", `http://127.0.0.1:${port}`]);
  expect((await client.result()).stdout).toBe("page\n");
  expect(await output("getent hosts there.test > /dev/null && echo reached")).toBe("reached");
});

test("with a detached network namespace it is there, and the command is not", async () => {
  const script = 'ip -br -4 addr show eth0 2>&1; nsenter --net="$ROOTLESSKIT_STATE_DIR/netns" ip -br -4 addr show eth0';
  const [outside, within] = (await output(script, "--detach-netns")).split("\n");
  expect(outside).toMatch(/does not exist/);
  expect(within).toMatch(/10\.0\.3\.\d+\/24/);
});

test("without a line in /etc/lxc/lxc-usernet: which one", async () => {
  await using run = host.rlkit(user, ["run", "--net=lxc-user-nic", "--", "true"], 0);
  const { code, stderr } = await run.result();
  expect(code).toBe(125);
  expect(stderr.trim().split("\n")).toHaveLength(1);
  expect(stderr).toContain("lxc-user-nic could not connect to lxcbr0: ");
  expect(stderr).toContain(`as root: echo '${user.name} veth lxcbr0 10' >> /etc/lxc/lxc-usernet`);
  expect(await leftovers(user)).toEqual([]);
});

test("where no DHCP server answers it waits, and can be told to stop", async () => {
  await using silent = await bridgedHost({ dhcp: false });
  await using run = silent.rlkit(user, ["run", "--net=lxc-user-nic", "--", "true"]);
  await until(() => descendants(run.pid).some(({ pid }) => listensForDhcp(pid)), { what: "a DHCP client" });
  run.kill("SIGTERM");
  expect(await run.result()).toMatchObject({ code: 143 });
  expect(run.stderr).toContain("stopped by SIGTERM before the command was started");
  expect(await leftovers(user)).toEqual([]);
});

/** Whether there is a socket on port 68 in the network namespace of a process. */
const listensForDhcp = (pid: number): boolean => / 00000000:0044 /.test(readFileSync(`/proc/${pid}/net/udp`, "utf8"));
