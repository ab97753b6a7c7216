import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { freePort } from "../../test/helpers/client.ts";
import { lives } from "../../test/helpers/containers.ts";
import { dockerOutput, IMAGE, importImage } from "../../test/helpers/docker.ts";
import { commandLine, isRunning } from "../../test/helpers/processes.ts";
import { processesOf, type User } from "../../test/helpers/user.ts";
import { until, within } from "../../test/helpers/wait.ts";
import { answers } from "./dockerd.ts";
import { type Outside, pageClient, serveOutside } from "./restart-clients.ts";
import { startUnit } from "./restart-unit.ts";
import { interleave, median, milliseconds, type Requirement, type Row } from "./statistics.ts";
import { label, type Subject } from "./subject.ts";

const FLAGS = ["--experimental", "--storage-driver", "vfs"];
const CONTAINERS = 5;
/** Milliseconds after which something counts as gone for good. */
const NEVER = 10_000;
/** Many clients side by side, so that the pauses of a single one don't show. */
const beats = (url: string) => `while :; do timeout 1 wget -q -O /dev/null ${url} & sleep 0.05; done`;

/** What one round has seen. Milliseconds. */
interface Restart {
  readonly cold: number;
  readonly api: number;
  readonly outage: number;
  readonly wait: number;
  readonly lost: number;
  readonly network: number;
  /** RootlessKit has no such process. */
  readonly portd?: number;
}

/** What the death of dockerd, and of what serves it, costs its users. */
export async function benchRestart(user: User, all: readonly Subject[], rounds: number): Promise<Row[]> {
  console.log("  RootlessKit is kept by a loop in place of systemd: Restart=always, RestartSec=2, KillMode=mixed");
  const subjects = all.filter(({ variant }) => variant === "");
  await using outside = await serveOutside();
  const samples = await interleave(subjects, rounds, (subject) => round(user, subject, outside));
  const lines = (what: string, field: keyof Restart, goal?: Goal, unit: Row["unit"] = "ms"): Row[] =>
    subjects.flatMap((subject) => {
      const rounds = samples.get(subject) ?? [];
      const values = rounds.flatMap((each) => each[field] ?? []);
      const required = subject.name === "rlkit" ? goal?.(values, rounds) : undefined;
      if (values.length === 0) return [];
      return { measurement: what, subject: label(subject), unit, samples: values, ...(required && { required }) };
    });
  return [
    ...lines("dockerd starts", "cold"),
    ...lines("kill -9 dockerd: without API", "api", (values, rounds) => ({
      text: "1.5 starts",
      met: median(values) <= 1.5 * median(rounds.map(({ cold }) => cold)),
    })),
    ...lines("  first fetch that fails to the next page", "outage", (values) => ({
      text: "0",
      met: values.every((time) => time === 0),
    })),
    ...lines("  longest from one page to the next", "wait"),
    ...lines(`  containers lost, of ${CONTAINERS}`, "lost", none, ""),
    ...lines(`kill -SEGV of the network helper: without network (${NEVER} ms: for good)`, "network", below(1000)),
    ...lines("kill -9 portd: until a new client is served", "portd", below(200)),
  ];
}

type Goal = (values: readonly number[], rounds: readonly Restart[]) => Requirement;

const none: Goal = (values) => ({ text: "0", met: values.every((value) => value === 0) });
const below =
  (limit: number): Goal =>
  (values) => ({ text: `< ${limit} ms`, met: values.every((value) => value < limit) });

async function round(user: User, subject: Subject, outside: Outside): Promise<Restart> {
  const socket = join(user.runtimeDir, "docker.sock");
  const began = process.hrtime.bigint();
  await using unit = startUnit(user, subject, FLAGS);
  const answered = () => until(() => answers(socket), { what: "dockerd to answer", deadline: 60_000, every: 5 });
  await Promise.race([answered(), unit.lost]);
  const cold = milliseconds(began);
  const port = await startContainers(user);
  const dockerd = await killDockerd(user, port, answered);
  const network = await killHelper(user, outside);
  const portd = subject.name === "rlkit" ? { portd: await killPortd(user, port) } : {};
  await dockerOutput(user, ["rm", "--force", ...Object.keys(await lives(user))]);
  return { cold, ...dockerd, network, ...portd };
}

/** They are to be started again if they end, as users of a launcher that loses them will have it. */
async function startContainers(user: User): Promise<number> {
  if ((await dockerOutput(user, ["images", "--quiet", IMAGE])) === "") await importImage(user);
  const port = await freePort();
  const words = (name: string) => ["run", "--detach", "--restart=always", "--name", name];
  const page = `mkdir -p /www; echo -n web >/www/index.html; exec httpd -f -p 80 -h /www`;
  await dockerOutput(user, [...words("web"), `--publish=127.0.0.1:${port}:80`, IMAGE, "sh", "-c", page]);
  for (let n = 1; n < CONTAINERS; n += 1) await dockerOutput(user, [...words(`idle${n}`), IMAGE, "sleep", "10000"]);
  return port;
}

async function killDockerd(user: User, port: number, answered: () => Promise<unknown>) {
  const before = await lives(user);
  await using client = pageClient(port, "web");
  await within(NEVER, () => "a page", client.after(performance.now()));
  const pid = await pidOf(user, /^dockerd$/);
  const killed = process.hrtime.bigint();
  process.kill(pid, "SIGKILL");
  await until(() => !isRunning(pid), { every: 1, what: "the end of dockerd" });
  await answered();
  const api = milliseconds(killed);
  // What comes up after the API is up: proxies, and containers that are started again.
  await pause(3000);
  await within(30_000, () => "a page after the restart", client.after(performance.now()));
  const after = await lives(user);
  const lost = Object.entries(before).filter(([name, { pid }]) => !after[name]?.running || after[name]?.pid !== pid);
  return { api, outage: client.outage(), wait: client.longestWait(), lost: lost.length };
}

/** Resolves to the time without network inside. */
async function killHelper(user: User, outside: Outside): Promise<number> {
  await dockerOutput(user, ["exec", "--detach", "idle1", "sh", "-c", beats(outside.url)]);
  for (let beat = 0; beat < 10; beat += 1) await outside.next(NEVER);
  const pid = await pidOf(user, /^(slirp4netns|pasta|passt)/);
  const killed = process.hrtime.bigint();
  process.kill(pid, "SIGSEGV");
  await until(() => !isRunning(pid), { every: 1, what: "the end of the network helper" });
  await pause(10); // connections that it had made before may still wait in this process's backlog
  return await outside.next(NEVER).then(
    () => milliseconds(killed),
    () => NEVER,
  );
}

/** Resolves to the time from the end of portd until a client that came after it has its page. */
async function killPortd(user: User, port: number): Promise<number> {
  await using client = pageClient(port, "web");
  await within(NEVER, () => "a page", client.after(performance.now()));
  const pid = await portdOf(user);
  process.kill(pid, "SIGKILL");
  const killed = performance.now();
  return (await within(NEVER, () => "a page from another portd", client.after(killed))) - killed;
}

const pidOf = (user: User, name: RegExp): Promise<number> =>
  until(async () => (await processesOf(user)).find((process) => name.test(process.name))?.pid, { what: String(name) });

const portdOf = (user: User): Promise<number> =>
  until(async () => (await processesOf(user)).find(({ pid }) => commandLine(pid).endsWith("rlkit-ns portd 3"))?.pid, {
    what: "rlkit-ns portd",
  });
