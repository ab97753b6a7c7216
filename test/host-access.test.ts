import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Instance, instance } from "./helpers/instance.ts";
import { leftovers } from "./helpers/left.ts";
import { type LoopbackServer, loopbackServer } from "./helpers/loopback.ts";
import { commandLine, isRunning, runningProcesses } from "./helpers/processes.ts";
import { type Result, ROOT, rlkit, start } from "./helpers/run.ts";
import { hasLogged } from "./helpers/supervised.ts";
import { testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

let user: User;
/** On the loopback address of the host. */
let web: LoopbackServer;
let other: LoopbackServer;

beforeEach(async () => {
  user = await testUser();
  web = await loopbackServer("of the host");
  other = await loopbackServer("not for inside");
});

afterEach(async () => {
  await web?.[Symbol.asyncDispose]();
  await other?.[Symbol.asyncDispose]();
  await user?.[Symbol.asyncDispose]();
});

/** A run whose command stays. */
const staying = (...options: string[]): Promise<Instance> => instance(user, options, "echo ready; read -r");

/** What a command writes that is run in the network namespace of a run. */
async function inside({ childPid }: Instance, ...command: string[]): Promise<Result> {
  await using run = start(ROOT, ["nsenter", "-t", String(childPid), "-n", ...command]);
  return await run.result();
}

/** What a program inside gets from there; "" if it can't be reached. */
const fetched = async (run: Instance, host: string, port: number): Promise<string> =>
  (await inside(run, "curl", "--silent", "--max-time", "2", `http://${host}:${port}/`)).stdout;

async function ends({ run }: Instance): Promise<void> {
  run.write("\n");
  expect(await run.result()).toMatchObject({ code: 0 });
  expect(await leftovers(user)).toEqual([]);
}

describe.each(["slirp4netns", "pasta"])("--net=%s", (net) => {
  test("a port that is named is reached at its number of every address inside, and no other", async () => {
    await using run = await staying(`--net=${net}`, `--host-access=${web.port}`);
    for (const host of ["127.0.0.1", "10.0.2.100", "[::1]"])
      expect(await fetched(run, host, web.port)).toBe("of the host");
    for (const host of ["127.0.0.1", "10.0.2.2"]) expect(await fetched(run, host, other.port)).not.toContain("not for");
    await ends(run);
  });

  test("all: everything, at the gateway", async () => {
    await using run = await staying(`--net=${net}`, "--host-access=all");
    expect(await fetched(run, "10.0.2.2", web.port)).toBe("of the host");
    expect(await fetched(run, "10.0.2.2", other.port)).toBe("not for inside");
    await ends(run);
  });

  test("none: nothing", async () => {
    await using run = await staying(`--net=${net}`, "--host-access=none");
    for (const host of ["127.0.0.1", "10.0.2.2"])
      expect(await fetched(run, host, web.port)).not.toContain("of the host");
    await ends(run);
  });
});

test("also without any other network", async () => {
  await using run = await staying("--net=none", `--host-access=${web.port}`);
  expect(await fetched(run, "127.0.0.1", web.port)).toBe("of the host");
  await ends(run);
});

test("a UDP port", async () => {
  const echo = createSocket("udp4").bind(0, "127.0.0.1");
  await once(echo, "listening");
  echo.on("message", (text, { port, address }) => echo.send(`${text} back`, port, address));
  const { port } = echo.address() as AddressInfo;
  await using run = await staying("--net=none", `--host-access=${port}/udp`);
  const ask = `exec 3<>/dev/udp/127.0.0.1/${port}; echo -n hello >&3; head -c 10 <&3`;
  expect((await inside(run, "timeout", "5", "bash", "-c", ask)).stdout).toBe("hello back");
  echo.close();
  await ends(run);
});

test("with a pid namespace and a detached network namespace", async () => {
  await using run = await staying("--net=slirp4netns", "--pidns", "--detach-netns", `--host-access=${web.port}`);
  const enter = ["nsenter", `--net=${run.stateDir}/netns`, "curl", "--silent", `http://10.0.2.100:${web.port}/`];
  await using asked = rlkit(user, ["exec", `--state-dir=${run.stateDir}`, "--", ...enter]);
  expect(await asked.result()).toMatchObject({ code: 0, stdout: "of the host" });
  await ends(run);
});

test("a host's program that is not there yet is found once it is; what forwards is started again when it dies", async () => {
  const port = web.port;
  await using run = await staying("--net=none", `--host-access=${port}`);
  const portd = runningProcesses().find(
    ({ pid, parent }) => parent === run.run.pid && / portd 3$/.test(commandLine(pid)),
  );
  process.kill(portd?.pid ?? expect.unreachable("no portd"), "SIGKILL");
  await until(() => !isRunning(portd?.pid ?? 0));
  await hasLogged(run.run, /^rlkit-ns portd to the host has ended .*starting it again$/);
  expect(await fetched(run, "127.0.0.1", port)).toBe("of the host");
  await web[Symbol.asyncDispose]();
  expect(await fetched(run, "127.0.0.1", port)).toBe("");
  await ends(run);
});

test("after kill -9 of rlkit nothing forwards", async () => {
  await using run = await staying("--net=none", `--host-access=${web.port}`);
  run.run.kill("SIGKILL");
  await until(() => runningProcesses().every(({ uid }) => uid !== user.uid));
});

test.each([
  [["--host-access=foo"], '--host-access=foo: "foo" is no port'],
  [["--host-access=0"], '"0" is no port'],
  [["--host-access=80,"], '"" is no port'],
  [["--host-access=80/sctp"], '"80/sctp" is no port'],
  [["--host-access=80", "--net=host"], "--host-access makes no sense with --net=host"],
  [["--host-access=all", "--disable-host-loopback"], "contradict each other"],
  [["--host-access=none", "--disable-host-loopback=false"], "contradict each other"],
])("%j is refused", async (options, why) => {
  await using run = rlkit(user, ["run", ...options, "--", "true"]);
  expect(await run.result()).toMatchObject({ code: 2, stderr: expect.stringContaining(why) });
});
