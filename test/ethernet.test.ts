import { chmod, copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { askJson } from "./helpers/api.ts";
import { nodeDirectory } from "./helpers/environment.ts";
import { type Instance, instance } from "./helpers/instance.ts";
import { leftovers } from "./helpers/left.ts";
import { commandLine, descendants } from "./helpers/processes.ts";
import { type Result, rlkit, start, tree } from "./helpers/run.ts";
import { hasLogged } from "./helpers/supervised.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

// vpnkit and gvproxy are in no registry of Debian's. What stands in for both speaks their protocol.

const programs = { vpnkit: "vpnkit", "gvisor-tap-vsock": "gvproxy" } as const;
type Net = keyof typeof programs;
const nets = Object.keys(programs) as Net[];
const routers: Record<Net, string> = { vpnkit: "192.168.65.1", "gvisor-tap-vsock": "10.0.2.1" };

let user: User;
let story: string;

beforeEach(async () => {
  user = await testUser();
  story = join(user.home, "story");
  await mkdir(join(user.home, "bin"));
  for (const program of Object.values(programs)) {
    const path = join(user.home, "bin", program);
    await copyFile(join(import.meta.dirname, "fixtures", "vpnkit.mjs"), path);
    await chmod(path, 0o755);
  }
});

afterEach(() => user?.[Symbol.asyncDispose]());

const env = (more: Record<string, string> = {}) => ({
  PATH: `${user.home}/bin:${nodeDirectory()}:/usr/bin:/bin:/usr/sbin:/sbin`,
  VPNKIT_LOG: story,
  ...more,
});

async function run(net: Net, command: readonly string[], options: readonly string[] = [], more = {}): Promise<Result> {
  await using inside = rlkit(user, ["run", `--net=${net}`, ...options, "--", ...command], { env: env(more) });
  return await inside.result();
}

/** Sends datagrams of a size, one after another; writes how many came back as they were. */
const ECHO = `
use IO::Socket::INET;
my ($to, $size, $count) = @ARGV;
my $socket = IO::Socket::INET->new(Proto => "udp", PeerAddr => $to) or die $!;
my $back = 0;
for my $i (1 .. $count) {
  my $message = sprintf("%06d", $i) . ("x" x $size);
  $socket->send($message);
  vec(my $ready = "", fileno($socket), 1) = 1;
  next unless select($ready, undef, undef, 5);
  $socket->recv(my $answer, 65536);
  $back++ if $answer eq $message;
}
print "$back\\n";
`;
const echo = (to: string, size: number, count: number): string[] => ["perl", "-e", ECHO, to, `${size}`, `${count}`];

describe.each(nets)("--net=%s", (net) => {
  test("an interface with the helper's addresses, and its name server", async () => {
    const script =
      "ip -br -4 address show tap0; ip route show default; cat /etc/resolv.conf /sys/class/net/tap0/address";
    const { code, stdout, stderr } = await run(net, ["sh", "-c", script]);
    expect(code, stderr).toBe(0);
    const [address, mtu] = net === "vpnkit" ? ["192.168.65.3", "1500"] : ["10.0.2.100", "65520"];
    const [link, route, ...rest] = stdout.trim().split("\n");
    expect(link).toMatch(new RegExp(`^tap0 +UP +${address}/24`));
    expect(route).toBe(`default via ${routers[net]} dev tap0 `);
    expect(rest).toEqual([`nameserver ${routers[net]}`, "02:50:00:00:00:01"]);
    expect((await run(net, ["cat", "/sys/class/net/tap0/mtu"])).stdout.trim()).toBe(mtu);
    expect(await leftovers(user)).toEqual([]);
  });

  test("frames arrive as they are, small and large, in both directions", async () => {
    for (const size of [1, 1400, 20_000]) {
      const { code, stdout, stderr } = await run(net, echo("198.51.100.7:9", size, 100));
      expect([code, stdout], stderr).toEqual([0, "100\n"]);
    }
  });

  test("says hello as vpnkit's clients do, and asks for one interface", async () => {
    await run(net, ["true"]);
    const [, hello, request, ...more] = (await readFile(story, "utf8")).trim().split("\n");
    expect(hello).toBe("hello VMN3T 22");
    expect(request).toMatch(/^interface 1 [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    expect(more).toEqual([]);
  });

  test("is what the API says", async () => {
    await using one = await instance(user, [`--net=${net}`], "echo ready; read -r", { env: env() });
    const child = net === "vpnkit" ? "192.168.65.3" : "10.0.2.100";
    const [, info] = await askJson({ user, socket: join(one.stateDir, "api.sock") }, "GET", "/v1/info");
    expect(info).toMatchObject({
      networkDriver: { driver: net, dns: [routers[net]], childIP: child },
      portDriver: { driver: "builtin" },
    });
  });

  test("one that is killed is started again, and the interface stays", async () => {
    await using one = await instance(user, [`--net=${net}`], "echo ready; read -r", { env: env() });
    for (const victim of ["helper", "pump"] as const) {
      const { pid } = await until(() => part(one, net, victim), { what: `${net}'s ${victim}` });
      process.kill(pid, "SIGKILL");
      await hasLogged(one.run, new RegExp(`^${net} is back after`));
      await until(() => part(one, net, victim) !== undefined && part(one, net, victim)?.pid !== pid, {
        what: "another",
      });
      // The kernel takes a moment to see that the tap device has somebody again (its carrier), and drops frames until then.
      const works = async () => (await inside(one, echo("198.51.100.7:9", 100, 5))).stdout === "5\n";
      await until(works, { what: "frames that come back" });
    }
    one.run.write("\n");
    await one.run.result();
    expect(await leftovers(user)).toEqual([]);
  });

  test("the whole of it ends when rlkit is killed", async () => {
    await using one = await instance(user, [`--net=${net}`], "echo ready; read -r", { env: env() });
    await until(() => part(one, net, "pump"), { what: net });
    one.run.kill("SIGKILL");
    await until(async () => (await leftovers(user)).every((line) => !line.startsWith("process ")), {
      what: "no process",
    });
  });

  test.each([
    ["ends", /ended before it was ready|no licence for this/],
    ["stranger", /gives no interface: it speaks another protocol/],
    ["refuses", /gives no interface: no more I/],
  ])("one that %s is told of in one line", async (mode, why) => {
    const { code, stderr } = await run(net, ["true"], [], { VPNKIT_MODE: mode });
    expect(code).toBe(125);
    expect(stderr.trim().split("\n")).toEqual([expect.stringMatching(why)]);
    expect(stderr).toContain(net);
    expect(await leftovers(user)).toEqual([]);
  });

  test("a port that is published is reached", async () => {
    const serve =
      "perl -MIO::Socket::INET -e 'my $s=IO::Socket::INET->new(Listen=>1,LocalPort=>80,ReuseAddr=>1); my $c=$s->accept; print $c qq(page\\n)'";
    await using served = rlkit(user, ["run", `--net=${net}`, "-p", "127.0.0.1:0:80", "--", "sh", "-c", serve], {
      env: env(),
    });
    const published = await hasLogged(served, /published 127\.0\.0\.1:\d+/);
    const port = /127\.0\.0\.1:(\d+)/.exec(published)?.[1];
    await using client = start(user, ["curl", "--silent", "--http0.9", "--max-time", "5", `http://127.0.0.1:${port}`]);
    expect((await client.result()).stdout).toBe("page\n");
  });

  test("with a detached network namespace", async () => {
    await using one = await instance(user, [`--net=${net}`, "--detach-netns"], "echo ready; read -r", { env: env() });
    const enter = ["nsenter", `--net=${join(one.stateDir, "netns")}`];
    expect((await inside(one, [...enter, ...echo("198.51.100.7:9", 100, 5)])).stdout).toBe("5\n");
  });

  test("under RootlessKit's name, with the program that its option names", async () => {
    await mkdir(join(user.home, "elsewhere"));
    const program = join(user.home, "elsewhere", "other");
    await copyFile(join(user.home, "bin", "vpnkit"), program);
    await chmod(program, 0o755);
    if (net === "vpnkit") await rm(join(user.home, "bin", "vpnkit"));
    const named = net === "vpnkit" ? [`--vpnkit-binary=${program}`] : [];
    const options = [`--net=${net}`, "--disable-host-loopback", "--copy-up=/etc", ...named];
    const driver = net === "vpnkit" ? "builtin" : net;
    const command = [
      join(tree(), "bin", "rootlesskit"),
      ...options,
      `--port-driver=${driver}`,
      "cat",
      "/etc/resolv.conf",
    ];
    await using one = start(user, command, { env: env() });
    const { code, stdout, stderr } = await one.result();
    expect([code, stdout, stderr]).toEqual([0, `nameserver ${routers[net]}\n`, ""]);
  });
});

test("vpnkit is told whether the host's loopback is reached", async () => {
  await run("vpnkit", ["true"]);
  await run("vpnkit", ["true"], ["--disable-host-loopback", "--mtu=1400"]);
  const told = (await readFile(story, "utf8")).split("\n").filter((line) => line.startsWith("args "));
  expect(told).toEqual([
    expect.stringMatching(/^args --ethernet \S+\/vpnkit-ethernet\.sock --mtu 1500$/),
    expect.stringMatching(/^args --ethernet \S+\/vpnkit-ethernet\.sock --mtu 1400 --host-ip 0\.0\.0\.0$/),
  ]);
});

test("gvproxy is told so by a file, with the network", async () => {
  const script = "cat $ROOTLESSKIT_STATE_DIR/gvproxy.json";
  const options = ["--cidr=10.9.8.0/24", "--mtu=4000"];
  const stack = { mtu: 4000, subnet: "10.9.8.0/24", gatewayIP: "10.9.8.1" };
  const open = await run("gvisor-tap-vsock", ["sh", "-c", script], options);
  expect(JSON.parse(open.stdout)).toMatchObject({ stack: { ...stack, nat: { "10.9.8.1": "127.0.0.1" } } });
  const closed = await run("gvisor-tap-vsock", ["sh", "-c", script], [...options, "--disable-host-loopback"]);
  expect(Object.values(JSON.parse(closed.stdout).stack.nat)).not.toContain("127.0.0.1");
});

test("an old gvproxy, which takes no file, is passed over", async () => {
  await writeFile(join(user.home, "bin", "gvproxy"), "#!/bin/sh\necho '  -listen-vpnkit string' >&2\nexit 2\n");
  const { code, stderr } = await run("gvisor-tap-vsock", ["true"]);
  expect(code, stderr).toBe(0);
  expect(stderr).toMatch(/no --net=gvisor-tap-vsock here: \S+gvproxy is too old: it has no -config; the network is/);
});

test("--cidr is not for vpnkit", async () => {
  const { code, stderr } = await run("vpnkit", ["true"], ["--cidr=10.9.8.0/24"]);
  expect(code).toBe(2);
  expect(stderr).toContain("custom cidr is not supported for --net=vpnkit");
});

/** The helper itself, or what carries its frames. */
function part({ run: { pid: rlkitPid } }: Instance, net: Net, which: "helper" | "pump") {
  const program = join(user.home, "bin", programs[net]);
  return descendants(rlkitPid).find(({ pid }) => {
    const line = commandLine(pid);
    return which === "pump" ? / ethernet 3 /.test(line) && !/guard/.test(line) : line.startsWith(`node ${program} `);
  });
}

/** What a command inside a run writes. */
async function inside({ stateDir }: Instance, command: readonly string[]): Promise<Result> {
  await using one = rlkit(user, ["exec", `--state-dir=${stateDir}`, "--", ...command]);
  return await one.result();
}
