import { once } from "node:events";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askJson } from "./helpers/api.ts";
import { exchange, freePort } from "./helpers/client.ts";
import { dockerd, dockerOutput, IMAGE, importImage } from "./helpers/docker.ts";
import { childPid } from "./helpers/instance.ts";
import { type Neighbour, startNeighbour } from "./helpers/neighbour.ts";
import { type Inside, inside } from "./helpers/ports.ts";
import { preparedRlkit } from "./helpers/prepared.ts";
import { type Running, rlkit } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

/** Where all those come from whose own address is not kept: the tap's address, or one of lo. */
const STAND_IN = "10.0.2.100";
const STAND_IN_6 = "fd00::64";

let user: User;
let neighbour: Neighbour;

beforeAll(async () => {
  user = await testUser();
  neighbour = await startNeighbour();
});

afterAll(async () => {
  await neighbour?.[Symbol.asyncDispose]();
  await user?.[Symbol.asyncDispose]();
});

/** A service inside and a port of the host for it; and the clients' addresses that it has seen. */
async function published(run: Inside, spec: { proto: string; parentIP?: string; childIP?: string }) {
  const service = spec.proto.startsWith("udp") ? "datagrams" : "echo";
  const listener = await run.listen(service, { host: spec.childIP ?? "127.0.0.1" });
  const port = await run.publish({ ...spec, childPort: listener.port });
  return {
    port: port.spec.parentPort,
    id: port.id,
    clients: async () => (await listener.seen()).map(({ from }) => from),
  };
}

/** The output of a command in the namespaces of a run. */
async function inNamespaces(run: Inside, ...command: string[]): Promise<string> {
  await using exec = rlkit(user, ["exec", `--state-dir=${run.stateDir}`, "--", ...command]);
  const { code, stdout, stderr } = await exec.result();
  if (code !== 0) throw new Error(`${command.join(" ")}: status ${code}: ${stderr}`);
  return stdout;
}

/** By what means the API says that addresses are kept. */
async function backend(stateDir: string): Promise<string | undefined> {
  const api = { user, socket: `${stateDir}/api.sock` };
  type Info = { portDriver: { extra?: { sourceIPTransparentBackend: string } } };
  const [, info] = await askJson<Info>(api, "GET", "/v1/info");
  return info.portDriver.extra?.sourceIPTransparentBackend;
}

describe.each(["slirp4netns", "pasta", "none"])("with --net=%s", (net) => {
  let run: Inside;

  beforeAll(async () => {
    run = await inside(user, [`--net=${net}`, "--port-driver=builtin"]);
  });

  afterAll(async () => {
    await run?.[Symbol.asyncDispose]();
  });

  test.each(["tcp", "tcp4"])("a %s client of another machine is seen by its own address", async (proto) => {
    const { port, id, clients } = await published(run, { proto });
    for (const host of neighbour.host) expect(await neighbour.exchange(host, port, "hello")).toBe("hello");
    expect(await clients()).toEqual([neighbour.address, neighbour.address]);
    expect(await run.counters(id)).toMatchObject({ accepted: 2, plain: 0, failed: 0 });
  });

  test.each(["tcp", "tcp6"])("so is one of IPv6 (%s)", async (proto) => {
    const { port, id, clients } = await published(run, { proto, childIP: "::1" });
    expect(await neighbour.exchange(neighbour.host6, port, "hello")).toBe("hello");
    expect(await clients()).toEqual([neighbour.address6]);
    expect(await run.counters(id)).toMatchObject({ accepted: 1, plain: 0, failed: 0 });
  });

  test("a client on this machine is seen by the address that it has come by", async () => {
    const { port, clients } = await published(run, { proto: "tcp" });
    for (const host of ["127.0.0.1", neighbour.host[0]]) expect(await exchange({ host, port }, "hello")).toBe("hello");
    expect(await clients()).toEqual(["127.0.0.1", neighbour.host[0]]);
    const six = await published(run, { proto: "tcp6", childIP: "::1" });
    expect(await exchange({ host: "::1", port: six.port }, "hello")).toBe("hello");
    expect(await six.clients()).toEqual(["::1"]);
  });

  test("so are many at once", async () => {
    const { port, id, clients } = await published(run, { proto: "tcp" });
    const text = "0123456789abcdef".repeat(200);
    const [host] = neighbour.host;
    const answers = await Promise.all(Array.from({ length: 50 }, () => neighbour.exchange(host, port, text)));
    expect(answers.every((answer) => answer === text)).toBe(true);
    expect(new Set(await clients())).toEqual(new Set([neighbour.address]));
    expect(await run.counters(id)).toMatchObject({ accepted: 50, plain: 0, failed: 0 });
  });

  test("so is one port of a client that connects to two published ports", async () => {
    const both = [await published(run, { proto: "tcp" }), await published(run, { proto: "tcp" })];
    const [host] = neighbour.host;
    const from = { localAddress: host, localPort: await freePort() };
    const sockets = both.map(({ port }) => connect({ host, port, ...from }));
    try {
      for (const socket of sockets) socket.write("hello");
      await Promise.all(sockets.map((socket) => once(socket, "data")));
    } finally {
      for (const socket of sockets) socket.destroy();
    }
    for (const { clients, id } of both) {
      expect(await clients()).toEqual([host]);
      expect(await run.counters(id)).toMatchObject({ accepted: 1, plain: 0 });
    }
  });

  test("short connections leave the numbers of ports to others: what waits for a late packet is limited", async () => {
    const { port, id } = await published(run, { proto: "tcp" });
    const [host] = neighbour.host;
    const some = () => Promise.all(Array.from({ length: 100 }, () => exchange({ host, port }, "x")));
    for (let i = 0; i < 60; i += 1) await some();
    expect(await run.counters(id)).toMatchObject({ accepted: 6000, plain: 0, failed: 0 });
    const waiting = /^TCP: .* tw (\d+)/m.exec(await inNamespaces(run, "cat", "/proc/net/sockstat"))?.[1];
    expect(Number(waiting)).toBeLessThanOrEqual(4096);
  });

  test("where nobody listens inside, a client is told before a lost packet would be missed", async () => {
    const { spec } = await run.publish({ proto: "tcp", childPort: await freePort() });
    const begin = performance.now();
    await neighbour.exchange(neighbour.host[0], spec.parentPort, "hello").catch(() => {});
    expect(performance.now() - begin).toBeLessThan(900);
  });

  test("who can't be kept comes from an address that stands for others, never from 127.0.0.1", async () => {
    const six = await published(run, { proto: "tcp" }); // an IPv6 client of an IPv4 target
    expect(await neighbour.exchange(neighbour.host6, six.port, "hello")).toBe("hello");
    expect(await six.clients()).toEqual([STAND_IN]);
    const datagrams = await published(run, { proto: "udp" });
    await neighbour.datagram(neighbour.host[0], datagrams.port, "hello");
    expect(await datagrams.clients()).toEqual([STAND_IN]);
  });

  test("the rules are nftables' own, once, and the API says so", async () => {
    for (const digit of [4, 6]) await published(run, { proto: `tcp${digit}` });
    expect(await backend(run.stateDir)).toBe("nft");
    const ruleset = (await inNamespaces(run, "nft", "list", "ruleset")).replaceAll(/\s+/g, " ");
    for (const family of ["ip", "ip6"]) {
      const hook = (name: string) => `chain ${name} { type filter hook ${name} priority mangle; policy accept;`;
      expect(ruleset).toContain(
        `table ${family} rlkit { ` +
          `${hook("output")} meta l4proto tcp meta mark 0x726c0001 ct mark set 0x726c0001 } ` +
          `${hook("prerouting")} meta l4proto tcp ct mark 0x726c0001 meta mark set 0x726c0002 } }`,
      );
    }
    for (const family of ["-4", "-6"]) {
      const rules = (await inNamespaces(run, "ip", family, "rule", "list")).split("\n");
      expect(rules.filter((line) => line.includes("29292"))).toEqual(["100:\tfrom all fwmark 0x726c0002 lookup 29292"]);
      const routes = (await inNamespaces(run, "ip", family, "route", "list", "table", "29292")).trim().split("\n");
      expect(routes).toEqual([expect.stringMatching(/^local default dev lo /)]);
    }
  });
});

test("--source-ip-transparent=false: the address that stands for others, and no rules", async () => {
  await using run = await inside(user, ["--net=slirp4netns", "--source-ip-transparent=false"]);
  const { port, clients } = await published(run, { proto: "tcp" });
  await neighbour.exchange(neighbour.host[0], port, "hello");
  await exchange({ port }, "hello");
  expect(await clients()).toEqual([STAND_IN, "127.0.0.1"]);
  const six = await published(run, { proto: "tcp6", childIP: "::1" });
  await neighbour.exchange(neighbour.host6, six.port, "hello");
  await exchange({ host: "::1", port: six.port }, "hello");
  expect(await six.clients()).toEqual([STAND_IN_6, "::1"]);
  expect(await inNamespaces(run, "nft", "list", "ruleset")).toBe("");
  expect(await inNamespaces(run, "ip", "rule", "list")).not.toContain("29292");
  expect(run.run.stderr).not.toMatch(/"level":"(warn|error)"/);
});

test("a port of 127.0.0.1 alone needs no rules, and gets none", async () => {
  await using run = await inside(user, ["--net=slirp4netns"]);
  const { port, clients } = await published(run, { proto: "tcp", parentIP: "127.0.0.1" });
  await exchange({ port }, "hello");
  expect(await clients()).toEqual(["127.0.0.1"]);
  expect(await inNamespaces(run, "nft", "list", "ruleset")).toBe("");
});

test("--source-ip-transparent-backend=iptables: the same by iptables alone", async () => {
  await using run = await inside(user, ["--net=slirp4netns", "--source-ip-transparent-backend=iptables"]);
  const { port, clients } = await published(run, { proto: "tcp" });
  await neighbour.exchange(neighbour.host[0], port, "hello");
  const six = await published(run, { proto: "tcp6", childIP: "::1" });
  await neighbour.exchange(neighbour.host6, six.port, "hello");
  expect([...(await clients()), ...(await six.clients())]).toEqual([neighbour.address, neighbour.address6]);
  expect(await backend(run.stateDir)).toBe("iptables");
  expect(await inNamespaces(run, "nft", "list", "ruleset")).not.toContain("rlkit");
  for (const iptables of ["iptables", "ip6tables"]) {
    const rules = (await inNamespaces(run, iptables, "-t", "mangle", "-S")).split("\n");
    expect(rules.filter((line) => line.startsWith("-A")).length).toBe(2);
  }
});

/** Inside, says the address of each client. */
const NAMES_CLIENTS =
  'require("net").createServer((client) => { console.log(client.remoteAddress); client.end("seen"); }).listen(80, "127.0.0.1")';

describe("where addresses can't be kept, that is said once, with the reason, and the port works", () => {
  test.each([
    {
      what: "iptables is asked for and is not there",
      options: ["--source-ip-transparent-backend=iptables"],
      // A directory like it, but for that program: rlkit looks there even if PATH has no such directory.
      script: `
        mkdir "$HOME/without"
        mknod "$HOME/without/iptables" c 0 0
        mount -t overlay -o lowerdir="$HOME/without:/usr/sbin" overlay /usr/sbin`,
      reason: "iptables: not found",
    },
    {
      what: "/proc/sys is read-only, as in a container",
      script: "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys",
      reason: "cannot write /proc/sys/net/ipv4/tcp_fwmark_accept: EROFS",
    },
  ])("$what", async ({ options = [], script, reason }) => {
    const ports = [await freePort(), await freePort()];
    const publish = ports.map((port) => `--publish=${port}:80/tcp`);
    const stateDir = `${user.runtimeDir}/state`;
    const argv = ["run", "--net=slirp4netns", `--state-dir=${stateDir}`, ...options, ...publish];
    await using run = preparedRlkit(user, { script }, [...argv, "--", "node", "-e", NAMES_CLIENTS]);
    await until(() => childPid(stateDir));
    for (const [i, port] of ports.entries()) {
      const answer = () => neighbour.exchange(neighbour.host[0], port, "");
      await until(async () => (await answer()) === "seen", { what: "an answer" });
      expect(run.stdout.trim().split("\n").slice(i)).toEqual([STAND_IN]);
    }
    const warnings = () => run.stderr.split("\n").filter((line) => line.includes("not by theirs"));
    await until(() => warnings().length > 0, { what: "a line in the log" }); // which is written after the target's start
    expect(warnings()).toEqual([expect.stringContaining(reason)]);
    expect(await backend(stateDir)).toBe("none");
  });
});

describe.each(["slirp4netns", "pasta"])("a container of dockerd with --userland-proxy=false and --net=%s", (net) => {
  let daemon: Running;

  beforeAll(async () => {
    const args = ["--storage-driver=vfs", "--userland-proxy=false"];
    const ipv6 = ["--ipv6", "--fixed-cidr-v6=fd72:6c6b:c::/64", "--ip6tables"];
    daemon = await dockerd(user, [...args, ...ipv6], [`--net=${net}`]);
    await importImage(user);
  });

  afterAll(async () => {
    await daemon?.[Symbol.asyncDispose]();
  });

  /** Publishes as rlkit's user: of this dockerd, --userland-proxy=false means that it asks nobody to. */
  async function publish(spec: string): Promise<void> {
    await using add = rlkit(user, ["ports", "add", spec]);
    expect(await add.result()).toMatchObject({ code: 0, stderr: "" });
  }

  test("sees the addresses of clients on other machines, IPv4 and IPv6", async () => {
    const port = await freePort();
    const server = ["sh", "-c", "mkdir /www; echo page >/www/index.html; exec httpd -f -v -p 80 -h /www 2>&1"];
    const name = `sees-${net}`;
    await dockerOutput(user, ["run", "--detach", "--name", name, `--publish=${port}:80`, IMAGE, ...server]);
    await publish(`0.0.0.0:${port}:127.0.0.1:${port}/tcp4`);
    await publish(`[::]:${port}:[::1]:${port}/tcp6`);
    const [host] = neighbour.host;
    for (const [at, from] of [
      [host, `[::ffff:${neighbour.address}]:`],
      [neighbour.host6, `[${neighbour.address6}]:`],
    ] as const) {
      // Docker says that a container runs before its server listens, and before IPv6 has made sure of the bridge's addresses.
      const seen = async () => {
        await neighbour.exchange(at, port, "GET /index.html HTTP/1.0\r\n\r\n");
        return (await dockerOutput(user, ["logs", name])).includes(from);
      };
      await until(seen, { what: `${from} in the log of the container`, deadline: 30_000, every: 500 });
    }
    await dockerOutput(user, ["rm", "--force", name]);
  });
});
