import { copyFile, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { ask, exchange, freePort, HAS_IPV6, held, heldDatagrams } from "./helpers/client.ts";
import { dockerd, dockerOutput, IMAGE, importImage } from "./helpers/docker.ts";
import { type Neighbour, startNeighbour } from "./helpers/neighbour.ts";
import { PEER, type Peer, peer } from "./helpers/peer.ts";
import { commandLine } from "./helpers/processes.ts";
import { type Running, start } from "./helpers/run.ts";
import { processesOf, testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const VFS = ["--storage-driver", "vfs"];
/** The client of dockerd's API that Debian's rootlesskit package has, unmodified. */
const DEBIANS_PROXY = "/usr/bin/rootlesskit-docker-proxy";

/** The page of a web server, or an error. */
async function page(host: string, port: number): Promise<string> {
  const answer = await exchange({ host, port }, "GET /index.html HTTP/1.0\r\n\r\n");
  return answer.slice(answer.indexOf("\r\n\r\n") + 4);
}

/** Waits for a page: docker says that a container runs before the server in it listens. */
const served = (text: string, port: number, host = "127.0.0.1"): Promise<unknown> =>
  until(async () => (await page(host, port)) === text, { what: `${text} from ${host} port ${port}` });

/** Options and command of a container that serves its name as a page, on each of these ports. */
function web(name: string, publish: readonly string[], ports: readonly number[] = [80]): string[] {
  const servers = ports.map((port) => `httpd -p ${port} -h /www`).join("; ");
  const script = `mkdir /www; echo -n ${name} >/www/index.html; ${servers}; sleep 1000`;
  return ["--name", name, ...publish.map((spec) => `--publish=${spec}`), IMAGE, "sh", "-c", script];
}

describe.each([
  { whose: "rlkit's own", net: "pasta", args: [] },
  { whose: "Debian's", net: "slirp4netns", args: [`--userland-proxy-path=${DEBIANS_PROXY}`] },
])("docker run -p with $whose rootlesskit-docker-proxy and --net=$net", ({ whose, net, args }) => {
  const isOwn = whose !== "Debian's";
  let user: User;
  let daemon: Running;
  let neighbour: Neighbour;

  beforeAll(async () => {
    user = await testUser();
    neighbour = await startNeighbour();
    daemon = await dockerd(user, [...VFS, ...args], [`--net=${net}`]);
    await importImage(user);
  });

  afterEach(async () => {
    const containers = (await dockerOutput(user, ["ps", "--all", "--quiet"])).split("\n").filter(Boolean);
    if (containers.length > 0) await dockerOutput(user, ["rm", "--force", ...containers]);
  });

  afterAll(async () => {
    await daemon?.[Symbol.asyncDispose]();
    await neighbour?.[Symbol.asyncDispose]();
    await user?.[Symbol.asyncDispose]();
  });

  const docker = (...words: string[]) => dockerOutput(user, words);
  const runDetached = (...words: string[]) => docker("run", "--detach", ...words);

  test("a port of all addresses is reached on each, and by other machines; docker ps shows it", async () => {
    const port = await freePort();
    await runDetached(...web("everywhere", [`${port}:80`]));
    const { host, host6 } = neighbour;
    for (const address of ["127.0.0.1", ...(HAS_IPV6 ? ["::1"] : []), ...host, host6])
      await served("everywhere", port, address);
    for (const address of [...host, host6]) {
      const answer = await neighbour.exchange(address, port, "GET /index.html HTTP/1.0\r\n\r\n");
      expect(answer).toMatch(/^HTTP.*everywhere$/s);
    }
    expect(await docker("ps", "--format", "{{.Ports}}")).toBe(`0.0.0.0:${port}->80/tcp, :::${port}->80/tcp`);
  });

  test("a port of 127.0.0.1 is reached there, and by no other address", async () => {
    const port = await freePort();
    await runDetached(...web("private", [`127.0.0.1:${port}:80`]));
    await served("private", port);
    const [address] = neighbour.host;
    await expect(page(address, port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    await expect(neighbour.exchange(address, port, "")).rejects.toThrow("ECONNREFUSED");
  });

  test("a port of one address of the host is reached there, and by no other", async () => {
    const port = await freePort();
    const [other, address] = neighbour.host;
    await runDetached(...web("there", [`${address}:${port}:80`]));
    await served("there", port, address);
    expect(await neighbour.exchange(address, port, "GET /index.html HTTP/1.0\r\n\r\n")).toMatch(/there$/);
    for (const host of ["127.0.0.1", other]) {
      await expect(page(host, port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
    }
  });

  // Debian's has docker-proxy listen on 127.0.0.1 inside, whatever the address outside.
  test.runIf(isOwn)("127.0.0.2 and 127.0.0.3 have a container each on one port", async () => {
    const port = await freePort();
    for (const last of [2, 3]) await runDetached(...web(`number${last}`, [`127.0.0.${last}:${port}:80`]));
    for (const last of [2, 3]) await served(`number${last}`, port, `127.0.0.${last}`);
  });

  test("a range of ports is published, one by one", async () => {
    const first = await freePort(4);
    const range = Array.from({ length: 4 }, (_, i) => i);
    const ports = range.map((i) => 80 + i);
    await runDetached(...web("range", [`127.0.0.1:${first}-${first + 3}:80-83`], ports));
    for (const i of range) await served("range", first + i);
    await docker("rm", "--force", "range");
    for (const i of range) await (await held(first + i))[Symbol.asyncDispose]();
  });

  test("UDP is published", async () => {
    const port = await freePort();
    await using container = await containerPeer(user, ["--publish", `${port}:7/udp`]);
    await container.listen("datagrams", { host: "0.0.0.0", port: 7, name: "container" });
    expect(await ask({ port }, "hello")).toBe("container\nhello");
    for (const address of neighbour.host) {
      const answer = await neighbour.datagram(address, port, "hello");
      expect(answer).toEqual({ text: "container\nhello", address, port });
    }
    await docker("rm", "--force", "peer");
    await (await heldDatagrams(port))[Symbol.asyncDispose]();
  });

  test("docker rm --force frees the ports at once, and the next container has them", async () => {
    const port = await freePort();
    for (const name of ["one", "two", "three"]) {
      await runDetached(...web(name, [`${port}:80`]));
      await served(name, port);
      await docker("rm", "--force", name);
      await (await held(port))[Symbol.asyncDispose]();
    }
  });

  test.runIf(isOwn)("twenty containers that are started side by side all answer", async () => {
    const ports = await Promise.all(Array.from({ length: 20 }, () => freePort()));
    const names = ports.map((port) => `at${port}`);
    await Promise.all(ports.map((port, i) => runDetached(...web(names[i] ?? "", [`${port}:80`]))));
    await Promise.all(ports.map((port, i) => served(names[i] ?? "", port)));
    await docker("rm", "--force", ...names);
    for (const port of ports) await (await held(port))[Symbol.asyncDispose]();
  });

  test("a taken port: docker says so, and who holds it", async () => {
    const holder = start(user, [
      "node",
      "-e",
      'require("net").createServer().listen(0, said); function said() { console.log(this.address().port) }',
    ]);
    await using _held = holder;
    const port = await until(() => Number(holder.stdout));
    const failed = runDetached(...web("late", [`${port}:80`]));
    await expect(failed).rejects.toThrow("address already in use");
    await expect(failed).rejects.toThrow(`pid ${holder.pid} (node -e `);
  });

  test("a privileged port: docker passes the sentence on that names the setting and its value", async () => {
    await using _sysctl = await unprivilegedPortStart(1023);
    const failed = runDetached(...web("low", ["127.0.0.1:81:80"]));
    const sentence =
      "cannot expose privileged port 81, you can add 'net.ipv4.ip_unprivileged_port_start=81' to /etc/sysctl.conf (currently 1023), or ";
    await expect(failed).rejects.toThrow(sentence);
    await expect(failed).rejects.toThrow("listen tcp4 127.0.0.1:81: bind: permission denied");
  });

  test.runIf(isOwn)("kill -9 of a docker-proxy frees its port, and the container can be removed", async () => {
    const port = await freePort();
    await runDetached(...web("orphan", [`${port}:80`]));
    await served("orphan", port);
    const isProxy = (pid: number) =>
      /^\S*rootlesskit-docker-proxy .*-host-port (\d+)/.exec(commandLine(pid))?.[1] === String(port);
    const proxies = (await processesOf(user)).map(({ pid }) => pid).filter(isProxy);
    expect(proxies.length).toBe(2); // IPv4 and IPv6
    for (const pid of proxies) process.kill(pid, "SIGKILL");
    await until(async () => (await held(port))[Symbol.asyncDispose]().then(() => true), {
      deadline: 2000,
      what: "a free port",
    });
    await docker("rm", "--force", "orphan");
    await runDetached(...web("next", [`${port}:80`]));
    await served("next", port);
  });
});

/** A container whose command listens and connects as it is told: it uses the machine's own Node. */
async function containerPeer(user: User, options: readonly string[]): Promise<Peer & AsyncDisposable> {
  const program = join(user.home, "peer.mjs");
  await copyFile(PEER, program);
  const inMachine = ["--volume", "/:/machine:ro", IMAGE, "chroot", "/machine", "node", program];
  const run = start(user, ["/usr/bin/docker", "run", "--interactive", "--name", "peer", ...options, ...inMachine], {
    stdin: "pipe",
    env: { DOCKER_HOST: `unix://${user.runtimeDir}/docker.sock` },
  });
  return { ...peer(run), [Symbol.asyncDispose]: () => run[Symbol.asyncDispose]() };
}

/** Sets from which port on ordinary users may listen, for as long as a test needs it. */
async function unprivilegedPortStart(port: number): Promise<AsyncDisposable> {
  const setting = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
  const before = await readFile(setting, "utf8");
  await writeFile(setting, String(port));
  return { [Symbol.asyncDispose]: () => writeFile(setting, before) };
}
