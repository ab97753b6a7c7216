import { type ApiOf, askJson } from "../../test/helpers/api.ts";
import { held } from "../../test/helpers/client.ts";
import { type Life, lives } from "../../test/helpers/containers.ts";
import { dockerOutput, logged } from "../../test/helpers/docker.ts";
import { fetchLoop, type Page } from "../../test/helpers/fetch-loop.ts";
import { leftovers } from "../../test/helpers/left.ts";
import type { Running } from "../../test/helpers/run.ts";
import type { User } from "../../test/helpers/user.ts";
import { until } from "../../test/helpers/wait.ts";
import type { Clients } from "./requests.ts";

/** What everything is compared with. */
export interface Before {
  readonly user: User;
  readonly run: Running;
  readonly api: ApiOf;
  readonly pages: readonly Page[];
  readonly lives: Record<string, Life>;
  /** A page outside, and its text. */
  readonly outside: { readonly url: string; readonly text: string };
}

/** Milliseconds in which all is well again after the last fault: a helper that kept failing is tried every 10 s. */
const SETTLES_WITHIN = 45_000;

/** What does not serve after the faults, a line each. */
export async function notServing(before: Before, clients: Clients): Promise<string[]> {
  const { user, run, api, pages, outside } = before;
  const deadline = performance.now() + SETTLES_WITHIN;
  const same = async (): Promise<true> => {
    const [was, is] = [JSON.stringify(before.lives), JSON.stringify(await lives(user))];
    if (was !== is) throw new Error(`they were ${was}, and are ${is}`);
    return true;
  };
  const fetched = async ({ url, text }: Before["outside"]): Promise<boolean> =>
    (await dockerOutput(user, ["exec", "stays", "timeout", "2", "wget", "-q", "-O", "-", url])) === text;
  const checks: [string, () => Promise<boolean>][] = [
    ["dockerd answers", async () => (await dockerOutput(user, ["version"])) !== ""],
    ["the five containers live on as they were", same],
    ...pages.map((page): [string, () => Promise<boolean>] => [
      `the published port of ${page.name} answers`,
      () => onePage(page),
    ]),
    ["docker exec works", async () => (await dockerOutput(user, ["exec", "talks", "echo", "here"])) === "here"],
    ["a container fetches from outside", () => fetched(outside)],
    ["the ports of the API's clients are those that they published", async () => samePorts(clients)],
    ["rlkit status is ready, and nothing degraded", () => isWell(api)],
  ];
  const wrong: string[] = [];
  for (const [what, holds] of checks) {
    const left = Math.max(1000, deadline - performance.now());
    await until(holds, { what, deadline: left, every: 200 }).catch((error: Error) => {
      wrong.push(`not true: ${what} (${cause(error)})`);
    });
  }
  // A run that has ended explains the rest.
  const early = await Promise.race([run.status, undefined]);
  return early === undefined ? wrong : [`rlkit has ended (${early.code ?? early.signal})`, ...wrong];
}

/** Asks the run to end; what was wrong about that, and what is left of it, a line each. */
export async function notEnded({ user, run, pages }: Before, ports: Iterable<number>): Promise<string[]> {
  const wrong: string[] = [];
  run.kill("SIGTERM");
  try {
    const { code, signal } = await run.result(60_000);
    if (code !== 0) wrong.push(`rlkit ended with ${code ?? signal} after SIGTERM, not with dockerd's 0`);
  } catch (error) {
    wrong.push((error as Error).message.split("; stderr", 1)[0] ?? "it did not end");
  }
  for (const line of await leftovers(user)) if (!isDockers(user, line)) wrong.push(`left: ${line}`);
  for (const port of [...pages.map((page) => page.port), ...ports]) {
    await held(port, "127.0.0.1").then(
      (holder) => holder[Symbol.asyncDispose](),
      () => void wrong.push(`left: a listener at port ${port}`),
    );
  }
  return wrong;
}

/** What dockerd itself leaves wherever it runs: its run-time files, and dumps of containerd's. */
const isDockers = ({ runtimeDir }: User, line: string): boolean =>
  line === `file ${runtimeDir}/docker` || /^file \/tmp\/containerd\.\d+\.stacks\.log$/.test(line);

/** Messages about defects in rlkit itself, whatever else went well. */
export const defects = (run: Running): string[] =>
  logged(run)
    .filter(({ msg }) => /\bdefect\b/.test(msg))
    .map((line) => `logged: ${JSON.stringify(line)}`);

async function onePage(page: Page): Promise<boolean> {
  await using loop = fetchLoop([page]);
  await until(() => loop.fetched > 0 || loop.failures.length > 0, { deadline: 15_000 });
  if (loop.fetched === 0) throw new Error(loop.failures[0]?.why);
  return true;
}

async function samePorts(clients: Clients): Promise<true> {
  const [wanted, listed] = [[...clients.published.keys()].sort(), (await clients.listed()).sort()];
  if (String(wanted) !== String(listed)) throw new Error(`published: ${wanted}; listed: ${listed}`);
  return true;
}

async function isWell(api: ApiOf): Promise<boolean> {
  const [code, status] = await askJson<{ phase: string; degraded: string[]; network: { up: boolean } }>(
    api,
    "GET",
    "/v1/rlkit/status",
  );
  if (code === 200 && status.phase === "ready" && status.degraded.length === 0 && status.network.up) return true;
  throw new Error(JSON.stringify(status));
}

function cause(error: Error): string {
  const text = error.cause instanceof Error ? error.cause.message : error.message;
  return text.length > 1500 ? `${text.slice(0, 1500)} …` : text;
}
