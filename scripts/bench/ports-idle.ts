import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { createInterface } from "node:readline";
import { loginEnvironment } from "../../test/helpers/environment.ts";
import { commandLine } from "../../test/helpers/processes.ts";
import type { User } from "../../test/helpers/user.ts";
import { until, within } from "../../test/helpers/wait.ts";
import { launcherPids, settled } from "./memory.ts";
import { freePorts, type Instance, startInstance } from "./ports-instance.ts";
import type { Tools } from "./ports-tools.ts";
import { interleave, type Requirement, type Row } from "./statistics.ts";
import { end, label, type Subject } from "./subject.ts";

const WANTED = 10_000;

/** What one round has seen of a launcher with many connections on which nothing happens. */
interface Idle {
  readonly held: number;
  /** MB of the process that forwards; RootlessKit's are not told apart. */
  readonly forwarder: number;
  /** MB that all the launcher's processes have grown by. */
  readonly growth: number;
  readonly pipes: number;
  readonly perSecond: number;
}

/** Idle connections: what they cost, and whether new ones are still served. */
export async function benchIdle(
  user: User,
  subjects: readonly Subject[],
  tools: Tools,
  rounds: number,
): Promise<Row[]> {
  const wanted = Math.min(WANTED, connectionsThatFit());
  const sample = (subject: Subject) => hold(user, subject, tools, wanted);
  const samples = await interleave(subjects, rounds, sample, { warmUp: false });
  const name = `${wanted.toLocaleString("en")} idle connections`;
  const lines = (
    what: string,
    field: keyof Idle,
    unit: Row["unit"],
    required?: (values: number[]) => Requirement,
  ): Row[] =>
    subjects.map((subject) => {
      const values = (samples.get(subject) ?? []).map((idle) => idle[field]);
      const goal = subject.name === "rlkit" ? required?.(values) : undefined;
      return {
        measurement: `${name}: ${what}`,
        subject: label(subject),
        unit,
        samples: values,
        ...(goal && { required: goal }),
      };
    });
  return [
    ...lines("held", "held", "", (values) => ({ text: "all", met: values.every((held) => held === wanted) })),
    ...lines("the forwarder's RSS", "forwarder", "MB", (values) => ({
      text: "< 8 MB",
      met: values.every((mb) => mb < 8),
    })),
    ...lines("growth, all processes", "growth", "MB"),
    ...lines("pipe ends held", "pipes", "", (values) => ({ text: "none", met: values.every((pipes) => pipes === 0) })),
    ...lines("new ones beside them", "perSecond", "/s", (values) => ({ text: "> 0", met: values.every((n) => n > 0) })),
  ];
}

async function hold(user: User, subject: Subject, tools: Tools, wanted: number): Promise<Idle> {
  const port = freePorts(1);
  const publish = [`127.0.0.1:${port}:${port}/tcp`];
  const how = { name: `idle-${subject.name}`, publish, target: [tools.serve, String(port)] };
  await using instance = await startInstance(user, subject, how);
  await until(() => tools.load("short", port, 0), { what: `an answer from ${label(subject)}` });
  const before = await memory(instance);
  const pipesBefore = pipes(instance);
  const client = spawn(tools.loadPath, ["hold", String(port), String(wanted)], {
    uid: user.uid,
    gid: user.gid,
    env: loginEnvironment(user),
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = end(client);
  try {
    const line = once(createInterface(client.stdout), "line");
    const [json] = await within(60_000, () => `${wanted} connections through ${label(subject)}`, line);
    const after = await memory(instance);
    return {
      held: (JSON.parse(json) as { held: number }).held,
      forwarder: after.forwarder,
      growth: after.all - before.all,
      pipes: pipes(instance) - pipesBefore,
      perSecond: await served(tools, port),
    };
  } finally {
    client.stdin.end();
    await within(10_000, () => "the end of the client", ended);
  }
}

/** 0 when no new connection gets through. */
async function served(tools: Tools, port: number): Promise<number> {
  try {
    return (await tools.load("short", port, 0.5)).perSecond ?? 0;
  } catch {
    return 0; // that is the result
  }
}

async function memory(instance: Instance): Promise<{ forwarder: number; all: number }> {
  const { pid, subject } = instance;
  const options = { what: "memory that stays the same", deadline: 30_000, every: 500 };
  const { rss } = await until(settled(pid, subject.programs), options);
  return { all: rss / 1024, forwarder: forwarders(instance).reduce((sum, one) => sum + residentMegabytes(one), 0) };
}

function forwarders({ pid, subject }: Instance): number[] {
  const pids = launcherPids(pid, subject.programs);
  return subject.name === "rlkit" ? pids.filter((one) => / portd /.test(commandLine(one))) : pids;
}

const residentMegabytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;

/** Descriptors, so two for a pipe. */
function pipes(instance: Instance): number {
  const links = forwarders(instance).flatMap((pid) =>
    readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`)),
  );
  return links.filter((link) => link.startsWith("pipe:")).length;
}

/** A forwarder needs two descriptors for each connection, besides some for itself. Children inherit this process's limit. */
function connectionsThatFit(): number {
  const limit = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  return limit === "unlimited" ? Number.POSITIVE_INFINITY : Math.floor((Number(limit) - 200) / 2);
}
