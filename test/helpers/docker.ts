import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { busyboxImage } from "./image.ts";
import { type Result, type Running, rlkit, start } from "./run.ts";
import type { User } from "./user.ts";
import { until } from "./wait.ts";

/** The client of the same version as the machine's dockerd; a newer one may come first on PATH. */
const CLIENT = "/usr/bin/docker";
export const IMAGE = "rlkit-test";

/** Runs the docker client as the user, outside; `env` is what tells it where the daemon is. */
async function docker(user: User, args: readonly string[], env?: Record<string, string>): Promise<Result> {
  const { runtimeDir } = user;
  await using client = start(user, [CLIENT, ...args], {
    env: env ?? { DOCKER_HOST: `unix://${runtimeDir}/docker.sock` },
  });
  return await client.result(30_000);
}

/** The same for a command that is to succeed: its output. */
export async function dockerOutput(user: User, args: readonly string[], env?: Record<string, string>): Promise<string> {
  const { code, stdout, stderr } = await docker(user, args, env);
  if (code !== 0) throw new Error(`docker ${args.join(" ")}: status ${code}: ${stderr}`);
  return stdout.trim();
}

/** Resolves when the daemon answers; throws at once when `daemon` ends instead. */
export async function answers(user: User, daemon: Running, env?: Record<string, string>): Promise<void> {
  let ended: string | undefined;
  daemon.status.then(({ code, signal }) => {
    ended = `dockerd ended (${code ?? signal}): ${daemon.stderr.slice(-2000)}`;
  });
  const answer = async (): Promise<boolean> => {
    const { code, stdout, stderr } = await docker(user, ["version", "--format", "{{.Server.Version}}"], env);
    if (code !== 0 && ended === undefined)
      throw new Error(`${stdout}${stderr}; dockerd: ${daemon.stderr.slice(-2000)}`);
    return true;
  };
  await until(answer, { what: "an answer of dockerd", deadline: 20_000, every: 100 });
  if (ended !== undefined) throw new Error(ended);
}

/** Starts dockerd under rlkit and waits until it answers. */
export function dockerd(user: User, args: readonly string[], options: readonly string[] = []): Promise<Running> {
  return answering(user, rlkit(user, ["run", ...options, "--", "dockerd", "--experimental", ...args]));
}

/** A daemon that has just been started, once it answers; one that doesn't is ended. */
export async function answering(user: User, daemon: Running): Promise<Running> {
  try {
    await answers(user, daemon);
  } catch (error) {
    await daemon[Symbol.asyncDispose]();
    throw error;
  }
  return daemon;
}

/** Gives the daemon an image to run containers of. */
export async function importImage(user: User, env?: Record<string, string>): Promise<void> {
  const tar = join(user.home, "image.tar");
  await writeFile(tar, await busyboxImage());
  await dockerOutput(user, ["import", tar, IMAGE], env);
}

/** The output of a command in a container that is removed when it has ended. */
export function inContainer(user: User, command: readonly string[]): Promise<string> {
  return dockerOutput(user, ["run", "--rm", IMAGE, ...command]);
}

/** The messages of rlkit's own log among dockerd's, which has another format. */
export const logged = (daemon: Running): { level: string; msg: string }[] =>
  daemon.stderr
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
