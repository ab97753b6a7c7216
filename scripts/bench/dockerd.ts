import { get } from "node:http";
import { join } from "node:path";
import { processesOf, type User } from "../../test/helpers/user.ts";
import { until, within } from "../../test/helpers/wait.ts";
import { interleave, milliseconds, type Row } from "./statistics.ts";
import { end, label, type Subject, start } from "./subject.ts";

const FLAGS = ["--experimental", "--storage-driver", "vfs"];

/** From starting the launcher to a dockerd that answers. */
export async function benchDockerd(user: User, subjects: readonly Subject[], rounds: number): Promise<Row[]> {
  const samples = await interleave(subjects, rounds, (subject) => readiness(user, subject));
  const measurement = "dockerd answers";
  return subjects.map((subject) => ({
    measurement,
    subject: label(subject),
    unit: "ms",
    samples: samples.get(subject) ?? [],
  }));
}

async function readiness(user: User, subject: Subject): Promise<number> {
  const socket = join(user.runtimeDir, "docker.sock");
  const began = process.hrtime.bigint();
  const child = start(user, subject.env, subject.dockerd(FLAGS));
  const ended = end(child);
  try {
    const died = ended.then((status) => {
      throw new Error(`${label(subject)} ended with ${status} before dockerd answered`);
    });
    died.catch(() => {}); // only the race below wants to hear of it
    await Promise.race([until(() => answers(socket), { what: "dockerd to answer", deadline: 60_000, every: 5 }), died]);
    return milliseconds(began);
  } finally {
    child.kill("SIGTERM");
    await within(60_000, () => `the end of ${label(subject)} after SIGTERM`, ended);
    // The next launcher wants an idle machine and the same files.
    await until(async () => (await processesOf(user)).length === 0, { what: "the processes of dockerd to end" });
  }
}

/** Whether a dockerd answers at its socket. */
export function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    get({ socketPath, path: "/_ping", agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    }).once("error", () => resolve(false)); // no socket yet, or nobody who listens
  });
}
