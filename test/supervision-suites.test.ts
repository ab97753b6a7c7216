import { execFile } from "node:child_process";
import { mkdir, readdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { dockerOutput } from "./helpers/docker.ts";
import { rlkit, start } from "./helpers/run.ts";
import { processesOf, testUser, type User } from "./helpers/user.ts";
import { until } from "./helpers/wait.ts";

const execute = promisify(execFile);

/** What runs services without systemd, with its commands for a service directory. */
const suites = {
  runit: {
    scan: "runsvdir",
    ready: (service: string) => ["sv", "-w", "20", "start", service],
    restart: (service: string) => ["sv", "-w", "30", "force-restart", service],
    stop: (service: string) => ["sv", "-w", "30", "force-stop", service],
    start: (service: string) => ["sv", "-w", "20", "start", service],
    ofItself: ["runsvdir", "runsv"],
  },
  s6: {
    scan: "s6-svscan",
    ready: (service: string) => ["s6-svwait", "-U", "-t", "20000", service],
    restart: (service: string) => ["s6-svc", "-r", "-wR", "-T", "30000", service],
    stop: (service: string) => ["s6-svc", "-d", "-wD", "-T", "30000", service],
    start: (service: string) => ["s6-svc", "-u", "-wU", "-T", "20000", service],
    ofItself: ["s6-svscan", "s6-supervise"],
  },
} as const;

let user: User;

beforeEach(async () => {
  user = await testUser();
});

afterEach(() => user?.[Symbol.asyncDispose]());

/** Runs a command of the user's that is to succeed. */
async function succeeds(argv: readonly string[]): Promise<void> {
  await using running = start(user, argv);
  const { code, stdout, stderr } = await running.result(60_000);
  expect({ code, said: code === 0 ? "" : stdout + stderr }, argv.join(" ")).toEqual({ code: 0, said: "" });
}

/** The pid of rlkit itself, which the service is; a child of it has its name until it executes something. */
async function rlkitPid(): Promise<number> {
  return Number((await execute("pgrep", ["--oldest", "--exact", "--uid", String(user.uid), "node"])).stdout);
}

test.each(["runit", "s6"] as const)(
  "%s starts dockerd, is told when it is ready, starts it again, and stops it; uninstall leaves nothing",
  async (name) => {
    const suite = suites[name];
    const before = await readdir(user.home);
    const own = async () => (await processesOf(user)).filter((each) => !suite.ofItself.includes(each.name as never));
    const scan = join(user.home, "scan");
    const service = join(user.home, ".config", name, "sv", "docker");
    await mkdir(scan);
    await execute("chown", [`${user.uid}:${user.gid}`, scan]);
    await using supervisor = start(user, [suite.scan, scan]);
    await until(async () => (await processesOf(user)).some((each) => each.name === suite.scan), { what: suite.scan });
    {
      // That this is what runs services here is found out.
      await using install = rlkit(user, ["install", "--context=false"]);
      expect(await install.result()).toMatchObject({ code: 0, stderr: "" });
    }
    await symlink(service, join(scan, "docker"));
    if (name === "s6") await succeeds(["s6-svscanctl", "-a", scan]);
    await until(async () => (await readdir(service)).includes("supervise"), { what: supervisor.stderr });

    const version = () => dockerOutput(user, ["version", "--format", "{{.Server.Version}}"]);
    await succeeds(suite.ready(service));
    await version(); // at once: ready means that it answers
    const first = await rlkitPid();
    process.kill(first, "SIGKILL");
    await until(async () => (await rlkitPid()) !== first, { what: "another rlkit" });
    await succeeds(suite.ready(service));
    await version();
    await succeeds(suite.restart(service));
    await succeeds(suite.ready(service));
    await version();
    await succeeds(suite.stop(service));
    expect(await own()).toEqual([]);
    await succeeds(suite.start(service));
    await version();

    await rm(join(scan, "docker"));
    await using uninstall = rlkit(user, ["uninstall", "--purge"]);
    expect(await uninstall.result(60_000)).toMatchObject({ code: 0, stderr: "" });
    expect(await own()).toEqual([]);
    supervisor.kill("SIGTERM");
    await supervisor.result();
    await rm(scan, { recursive: true });
    expect(await readdir(user.home)).toEqual(before);
  },
);
