import { chmod, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ask } from "./helpers/api.ts";
import { loginEnvironment, nodeDirectory } from "./helpers/environment.ts";
import { instance } from "./helpers/instance.ts";
import { loopbackServer } from "./helpers/loopback.ts";
import { commandLine, descendants, type Process } from "./helpers/processes.ts";
import { type Result, rlkit, start, tree } from "./helpers/run.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";
import { webServer } from "./helpers/web.ts";

const nets = ["slirp4netns", "pasta"] as const;

let user: User;

beforeAll(async () => {
  user = await testUser();
});

afterAll(() => user?.[Symbol.asyncDispose]());

async function run(options: readonly string[], command: readonly string[], env = {}): Promise<Result> {
  await using inside = rlkit(user, ["run", ...options, "--", ...command], { env });
  return await inside.result();
}

/** What a command that succeeds writes inside. */
async function output(options: readonly string[], command: readonly string[], env = {}): Promise<string> {
  const { code, stdout, stderr } = await run(options, command, env);
  expect(code, stderr).toBe(0);
  return stdout;
}

const fetchInside = (url: string): string[] => ["curl", "--silent", "--show-error", "--max-time", "2", url];

/** By its command line: pasta calls itself passt.avx2. */
const helperOf = (rlkitPid: number, name: string): Process | undefined =>
  descendants(rlkitPid).find(({ pid }) => commandLine(pid).startsWith(`/usr/bin/${name} `));

describe.each(nets)("--net=%s", (net) => {
  /** The interface, its address and the routes, and the files about names, as programs inside see them. */
  async function look(options: readonly string[], ifname: string) {
    const script = `ip -j addr show dev ${ifname}; ip -j -4 route; cat /etc/resolv.conf`;
    const [link = "", route = "", ...resolvConf] = (
      await output([`--net=${net}`, ...options], ["bash", "-c", script])
    ).split("\n");
    const [{ mtu, operstate, flags, addr_info }] = JSON.parse(link);
    return {
      mtu,
      isUp: operstate !== "DOWN" && flags.includes("UP"),
      addresses: addr_info
        .filter(({ family }: { family: string }) => family === "inet")
        .map(({ local, prefixlen }: { local: string; prefixlen: number }) => `${local}/${prefixlen}`),
      default: JSON.parse(route).find(({ dst }: { dst: string }) => dst === "default"),
      resolvConf: resolvConf.join("\n"),
    };
  }

  test("tap0 has 10.0.2.100/24, an MTU of 65520 and the default route; the name server is 10.0.2.3", async () => {
    expect(await look([], "tap0")).toMatchObject({
      mtu: 65520,
      isUp: true,
      addresses: ["10.0.2.100/24"],
      default: { gateway: "10.0.2.2", dev: "tap0" },
      resolvConf: "nameserver 10.0.2.3\n",
    });
  });

  test("--cidr, --ifname and --mtu are honoured", async () => {
    expect(await look(["--cidr=10.41.0.0/16", "--ifname=eth7", "--mtu=1400"], "eth7")).toMatchObject({
      mtu: 1400,
      isUp: true,
      addresses: ["10.41.0.100/16"],
      default: { gateway: "10.41.0.2", dev: "eth7" },
      resolvConf: "nameserver 10.41.0.3\n",
    });
  });

  test("the same with a pid namespace and a copied-up /etc, where nothing is said about names", async () => {
    const { stderr } = await run([`--net=${net}`, "--pidns", "--copy-up=/etc"], ["true"]);
    expect(stderr).not.toContain("/etc/");
    expect(await look(["--pidns", "--copy-up=/etc,/run"], "tap0")).toMatchObject({
      addresses: ["10.0.2.100/24"],
      resolvConf: "nameserver 10.0.2.3\n",
    });
  });

  test("/etc/hosts is the host's and has the machine's name, and the host's own files stay", async () => {
    const before = await Promise.all([readFile("/etc/hosts", "utf8"), readFile("/etc/resolv.conf", "utf8")]);
    const hosts = await output([`--net=${net}`], ["cat", "/etc/hosts"]);
    expect(hosts).toBe(`${before[0]}\n127.0.0.1 ${hostname()}\n::1 ${hostname()}\n`);
    const after = await Promise.all([readFile("/etc/hosts", "utf8"), readFile("/etc/resolv.conf", "utf8")]);
    expect(after).toEqual(before);
  });

  test("needs no ip(8), nor anything else than Node, the id tools and the helper on PATH", async () => {
    const path = await pathOf(`only-${net}`, [
      join(nodeDirectory(), "node"),
      ...["newuidmap", "newgidmap", net].map((name) => join("/usr/bin", name)),
    ]);
    const read = ["/usr/bin/cat", "/sys/class/net/tap0/mtu"];
    expect(await output([`--net=${net}`], read, { PATH: path })).toBe("65520\n");
  });

  test("a page of another machine is fetched, whole", async () => {
    const page = `${"0123456789abcdef".repeat(2 ** 18)}\n`; // 4 MB
    await using web = await webServer(page);
    expect((await output([`--net=${net}`], fetchInside(web.url))) === page).toBe(true);
  });

  test("127.0.0.1 inside is not the host's, and the host's is at 10.0.2.2", async () => {
    await using server = await loopbackServer("of the host\n");
    const own = await run([`--net=${net}`], fetchInside(`http://127.0.0.1:${server.port}`));
    expect(own).toMatchObject({ code: 7, stderr: expect.stringMatching(/refused|Failed to connect|connect to/) });
    expect(await output([`--net=${net}`], fetchInside(`http://10.0.2.2:${server.port}`))).toBe("of the host\n");
  });

  test("--disable-host-loopback closes that way, and no other", async () => {
    await using server = await loopbackServer("of the host\n");
    await using web = await webServer("the page\n");
    const options = [`--net=${net}`, "--disable-host-loopback"];
    const { code, stdout } = await run(options, fetchInside(`http://10.0.2.2:${server.port}`));
    expect(stdout).toBe("");
    expect([7, 28]).toContain(code); // refused, or no answer
    expect(await output(options, fetchInside(web.url))).toBe("the page\n");
  });

  test("what listens inside is not on the host's ports", async () => {
    const port = 20_000 + (process.pid % 10_000);
    const listen = `busybox httpd -f -p ${port} -h /etc & until curl -s -o /dev/null http://127.0.0.1:${port}/; do :; done`;
    await using _started = await instance(user, [`--net=${net}`], `${listen}; echo ready; wait`);
    await expect(fetch(`http://127.0.0.1:${port}/hosts`)).rejects.toMatchObject({ cause: { code: "ECONNREFUSED" } });
  });

  test("when the helper has died the log says so, and the command goes on", async () => {
    await using started = await instance(user, [`--net=${net}`], "echo ready; read -r; exit 4");
    const helper = await until(() => helperOf(started.run.pid, net));
    // Once the API answers, rlkit is past its start and watches the helper.
    await until(() => apiAnswers(started.stateDir));
    process.kill(helper.pid, "SIGKILL");
    const lost = `${net} ended (signal SIGKILL); starting it again`;
    await until(() => started.run.stderr.includes(lost), { what: "a line in the log" });
    started.run.write("\n");
    expect(await started.run.result()).toMatchObject({ code: 4 });
  });
});

async function apiAnswers(stateDir: string): Promise<boolean> {
  return (await ask({ user, socket: join(stateDir, "api.sock") }, "GET", "/v1/info")).body.includes("childPID");
}

/** A PATH of one directory with links to these programs. */
async function pathOf(name: string, programs: readonly string[]): Promise<string> {
  const path = join(user.home, name);
  await mkdir(path);
  for (const program of programs) await symlink(program, join(path, program.slice(program.lastIndexOf("/") + 1)));
  return path;
}

test("a pasta that still looks for ports to publish when the command starts loses nothing of what that sends", async () => {
  await using web = await webServer("the page\n");
  const dropped = "cat /sys/class/net/tap0/statistics/tx_dropped";
  const sentAgain = "awk '/^Tcp: [0-9]/ { print $13 }' /proc/net/snmp"; // RetransSegs
  const script = `${fetchInside(web.url).join(" ")}; ${dropped}; ${sentAgain}`;
  for (let i = 0; i < 5; i += 1) {
    expect(await output(["--net=pasta", "--port-driver=implicit"], ["sh", "-c", script])).toBe("the page\n0\n0\n");
  }
});

test("slirp4netns runs in its sandbox and behind its seccomp filter", async () => {
  await using started = await instance(user, ["--net=slirp4netns"], "echo ready; read -r");
  const helper = await until(() => helperOf(started.run.pid, "slirp4netns"));
  expect(commandLine(helper.pid).split(" ")).toEqual(expect.arrayContaining(["--enable-sandbox", "--enable-seccomp"]));
  expect(await readFile(`/proc/${helper.pid}/status`, "utf8")).toMatch(/^Seccomp:\t2$/m);
  expect(await readFile(`/proc/${helper.pid}/mountinfo`, "utf8")).not.toContain(" /home "); // its root is a tmpfs
});

describe("--net=auto says in the log which helper it took, and why", () => {
  const tools = () => [
    join(nodeDirectory(), "node"),
    ...["newuidmap", "newgidmap", "cat"].map((name) => join("/usr/bin", name)),
  ];

  test("pasta where it works", async () => {
    const { code, stderr } = await run([], ["true"]);
    expect(code).toBe(0);
    expect(stderr).toContain("network: pasta, the fastest helper, and it works here");
  });

  test("slirp4netns where pasta is not installed", async () => {
    const path = await pathOf("no-pasta", [...tools(), "/usr/bin/slirp4netns"]);
    const { code, stdout, stderr } = await run([], ["cat", "/sys/class/net/tap0/mtu"], { PATH: path });
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: "65520\n" });
    expect(stderr).toContain("network: slirp4netns, not pasta, because pasta is not on PATH");
  });

  test("slirp4netns where pasta fails when it is started", async () => {
    const path = join(user.home, "broken-pasta");
    await mkdir(path);
    const script = '#!/bin/sh\n[ "$1" = --help ] && exec /usr/bin/pasta --help\necho "no way" >&2; exit 3\n';
    await writeFile(join(path, "pasta"), script);
    await chmod(join(path, "pasta"), 0o755);
    const env = { PATH: `${path}:${loginEnvironment(user).PATH}` };
    const { code, stdout, stderr } = await run([], ["cat", "/etc/resolv.conf"], env);
    expect({ code, stdout }, stderr).toEqual({ code: 0, stdout: "nameserver 10.0.2.3\n" });
    expect(stderr).toMatch(/network: slirp4netns, not pasta, because pasta ended with status 3: no way/);
  });
});

test("a pasta that loses the end of its help, as that of 2025 does into a pipe, is used all the same", async () => {
  const path = await pathOf("short-help", []);
  const script = `[ "$1" = --help ] && { /usr/bin/pasta --help 2>&1 | head -c 700; exit 0; }; exec /usr/bin/pasta "$@"`;
  await writeFile(join(path, "pasta"), `#!/bin/bash\n${script}\n`);
  await chmod(join(path, "pasta"), 0o755);
  const env = { PATH: `${path}:${loginEnvironment(user).PATH}` };
  const { code, stdout, stderr } = await run(["--net=pasta"], ["cat", "/sys/class/net/tap0/mtu"], env);
  expect([code, stdout], stderr).toEqual([0, "65520\n"]);
});

describe.each([
  ["gvisor-tap-vsock", "gvproxy is not on PATH", "tap0"],
  ["vpnkit", "vpnkit is not on PATH", "tap0"],
  ["lxc-user-nic", "this host has no such bridge", "eth0"],
])("--net=%s where it can't be had", (net, problem, ifname) => {
  const read = ["cat", `/sys/class/net/${ifname}/mtu`];
  const warning = `no --net=${net} here: ${problem}; the network is pasta's (--net=pasta)`;

  test("goes on to work, by another network, with one warning", async () => {
    const { code, stdout, stderr } = await run([`--net=${net}`, "--mtu=65520"], read);
    expect([code, stdout], stderr).toEqual([0, "65520\n"]);
    expect(stderr.split("\n").filter((line) => line.includes('"level":"warn"'))).toHaveLength(1);
    expect(stderr).toContain(warning);
  });

  test("under RootlessKit's name, too, with its own port driver", async () => {
    const driver = net === "gvisor-tap-vsock" ? net : "builtin";
    const options = [`--net=${net}`, "--disable-host-loopback", "--copy-up=/etc", `--port-driver=${driver}`];
    await using inside = start(user, [join(tree(), "bin", "rootlesskit"), ...options, ...read]);
    const { code, stdout, stderr } = await inside.result();
    expect([code, stdout], stderr).toEqual([0, "65520\n"]);
    expect(stderr.trim().split("\n")).toEqual([expect.stringContaining(warning)]);
  });
});
