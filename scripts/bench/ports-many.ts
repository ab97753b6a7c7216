import { askJson } from "../../test/helpers/api.ts";
import type { User } from "../../test/helpers/user.ts";
import { until } from "../../test/helpers/wait.ts";
import { settled } from "./memory.ts";
import { freePorts, type Instance, startInstance } from "./ports-instance.ts";
import { runAs, type Tools } from "./ports-tools.ts";
import { interleave, median, milliseconds, type Requirement, type Row } from "./statistics.ts";
import { label, type Subject } from "./subject.ts";

const COUNT = 1000;

/** One launcher's round: milliseconds, and MB of all its processes. */
interface Many {
  readonly command: number;
  readonly requests: number;
  readonly growth: number;
  readonly total: number;
}

/** 1,000 ports, published by each launcher's own command, and by as many requests of one client of the API. */
export async function benchMany(
  user: User,
  subjects: readonly Subject[],
  tools: Tools,
  rounds: number,
): Promise<Row[]> {
  const samples = await interleave(subjects, rounds, (subject) => publishAll(user, subject, tools));
  const half = (values: readonly number[], builtin: readonly number[]): Requirement => ({
    text: "≤ 0.5 × builtin",
    met: median(values) <= 0.5 * median(builtin),
  });
  const lines = (what: string, field: keyof Many, unit: Row["unit"], required?: typeof half): Row[] => {
    const of = (subject: Subject) => (samples.get(subject) ?? []).map((many) => many[field]);
    const builtin = subjects.filter(({ name }) => name === "rootlesskit").flatMap(of);
    return subjects.map((subject) => {
      const goal = subject.name === "rlkit" ? required?.(of(subject), builtin) : undefined;
      const measurement = `${COUNT.toLocaleString("en")} ports: ${what}`;
      return { measurement, subject: label(subject), unit, samples: of(subject), ...(goal && { required: goal }) };
    });
  };
  return [
    ...lines("one command", "command", "ms", half),
    ...lines("a request each", "requests", "ms", half),
    ...lines("growth of anonymous memory", "growth", "MB", half),
    ...lines("RSS, all processes", "total", "MB"),
  ];
}

async function publishAll(user: User, subject: Subject, tools: Tools): Promise<Many> {
  const first = freePorts(COUNT);
  const ports = Array.from({ length: COUNT }, (_, index) => first + index);
  const byCommand = await inNewInstance(user, subject, async (instance) => {
    const before = await memory(instance);
    const command = await timed(() => addByCommand(user, instance, ports));
    await expectPorts(instance);
    const after = await memory(instance);
    return { command, total: after.rss / 1024, growth: (after.anonymous - before.anonymous) / 1024 };
  });
  const requests = await inNewInstance(user, subject, async (instance) => {
    const { milliseconds: time = Number.NaN } = await tools.load("publish", instance.api.socket, first, COUNT);
    await expectPorts(instance);
    return time;
  });
  return { ...byCommand, requests };
}

async function inNewInstance<T>(user: User, subject: Subject, use: (instance: Instance) => Promise<T>): Promise<T> {
  await using instance = await startInstance(user, subject, {
    name: `many-${subject.name}`,
    target: ["sleep", "300"],
  });
  return await use(instance);
}

async function addByCommand(user: User, { subject, stateDir }: Instance, ports: readonly number[]): Promise<void> {
  const specs = ports.map((port) => `127.0.0.1:${port}:${port}/tcp`);
  await runAs(user, subject.env, subject.addPorts(stateDir, specs));
}

async function expectPorts({ api, subject }: Instance): Promise<void> {
  const [, ports] = await askJson<unknown[]>(api, "GET", "/v1/ports");
  if (ports.length !== COUNT) throw new Error(`${label(subject)} has ${ports.length} of ${COUNT} ports`);
}

async function timed(work: () => Promise<void>): Promise<number> {
  const began = process.hrtime.bigint();
  await work();
  return milliseconds(began);
}

/** Kilobytes, once they stay the same. */
const memory = ({ pid, subject }: Instance) =>
  until(settled(pid, subject.programs), { what: "memory that stays the same", deadline: 30_000, every: 500 });
