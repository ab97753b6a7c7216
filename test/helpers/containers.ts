import { chown, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "./client.ts";
import { dockerOutput, IMAGE } from "./docker.ts";
import { fetchLoop, type Page } from "./fetch-loop.ts";
import { leftovers } from "./left.ts";
import { rlkit } from "./run.ts";
import { processesOf, type User } from "./user.ts";
import { until } from "./wait.ts";

/** Ends at TERM, which PID 1 of a container would otherwise ignore. */
const STAYS = "trap 'exit 0' TERM; while :; do sleep 1000 & wait $!; done";
/** Counts aloud. */
const TALKS = "trap 'exit 0' TERM; i=0; while :; do i=$((i + 1)); echo line $i; sleep 0.1; done";

/** What tells whether a container is still the one that was started. */
export interface Life {
  readonly running: boolean;
  readonly startedAt: string;
  readonly pid: number;
  readonly restarts: number;
}

interface WebOptions {
  /** Of the host; any free one unless told. */
  readonly port?: number;
  /** As a daemon with --userland-proxy=false, dockerd up to 27 asks nobody to publish outside: then rlkit's user does. */
  readonly userlandProxy?: boolean;
}

/** Starts a container that serves its name as a page, on a published port; resolves when the page comes. */
export async function startWeb(
  user: User,
  name: string,
  { port: given, userlandProxy = true }: WebOptions = {},
): Promise<Page> {
  const port = given ?? (await freePort());
  const script = `mkdir -p /www; echo -n ${name} >/www/index.html; httpd -p 80 -h /www; ${STAYS}`;
  const words = ["run", "--detach", "--name", name, `--publish=127.0.0.1:${port}:80`, IMAGE, "sh", "-c", script];
  await dockerOutput(user, words);
  if (!userlandProxy) {
    await using add = rlkit(user, ["ports", "add", `127.0.0.1:${port}:${port}/tcp`]);
    const { code, stderr } = await add.result();
    if (code !== 0) throw new Error(`rlkit ports add: ${stderr}`);
  }
  const page = { name, port };
  await using loop = fetchLoop([page]);
  await loop.more(1);
  return page;
}

/** Starts a container that only lives, or that writes a line ten times a second (`line 1`, `line 2`, …). */
export async function startIdle(user: User, name: string, { talks = false } = {}): Promise<void> {
  await dockerOutput(user, ["run", "--detach", "--name", name, IMAGE, "sh", "-c", talks ? TALKS : STAYS]);
}

/** Five containers: three with a published port, one that talks, and one more. */
export async function fiveContainers(user: User, options: WebOptions = {}): Promise<Page[]> {
  const pages = [];
  for (const name of ["web1", "web2", "web3"]) pages.push(await startWeb(user, name, options));
  await startIdle(user, "talks", { talks: true });
  await startIdle(user, "stays");
  return pages;
}

/** The containers' lives by name, as the daemon tells them. */
export async function lives(user: User): Promise<Record<string, Life>> {
  const ids = (await dockerOutput(user, ["ps", "--all", "--quiet", "--no-trunc"])).split("\n").filter(Boolean);
  if (ids.length === 0) return {};
  const all = JSON.parse(await dockerOutput(user, ["inspect", ...ids]));
  return Object.fromEntries(
    all.map(({ Name, State, RestartCount }: { Name: string; State: never; RestartCount: number }) => {
      const { Running: running, StartedAt: startedAt, Pid: pid } = State;
      return [Name.slice(1), { running, startedAt, pid, restarts: RestartCount }];
    }),
  );
}

/** Makes a directory in the user's home, and those above it. */
async function ownDirectory({ home, uid, gid }: User, path: string): Promise<string> {
  let made = home;
  for (const part of path.split("/")) {
    made = join(made, part);
    await mkdir(made, { recursive: true });
    await chown(made, uid, gid);
  }
  return made;
}

/** Writes the user's daemon.json. */
export async function configureDockerd(user: User, config: object): Promise<void> {
  await writeFile(join(await ownDirectory(user, ".config/docker"), "daemon.json"), JSON.stringify(config));
}

/** Starts a container that leaves a file of its name when it is told to end; the result reads those of all such containers. */
export async function startFarewell(user: User, name: string): Promise<() => Promise<string[]>> {
  const directory = await ownDirectory(user, "farewells");
  const script = `trap 'touch /farewells/${name}; exit 0' TERM; while :; do sleep 1000 & wait $!; done`;
  const words = ["--name", name, "--volume", `${directory}:/farewells`, IMAGE, "sh", "-c", script];
  await dockerOutput(user, ["run", "--detach", ...words]);
  return () => readdir(directory);
}

/** The pid of the daemon itself. */
export function dockerdPid(user: User): Promise<number> {
  const find = async () => (await processesOf(user)).find(({ name }) => name === "dockerd")?.pid;
  return until(find, { what: "a process dockerd" });
}

/**
 * What is left, but for what dockerd itself leaves wherever it runs: its run-time files, and a dump of containerd's, which it asks
 * for (rarely) when TERM comes while it looks whether containerd is well.
 */
export async function leftBesideDocker(user: User): Promise<string[]> {
  const dockers = (line: string) =>
    line === `file ${user.runtimeDir}/docker` || /^file \/tmp\/containerd\.\d+\.stacks\.log$/.test(line);
  return (await leftovers(user)).filter((line) => !dockers(line));
}
