import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fiveContainers, lives } from "../../test/helpers/containers.ts";
import { answering, importImage } from "../../test/helpers/docker.ts";
import { fetchLoop } from "../../test/helpers/fetch-loop.ts";
import { childPid } from "../../test/helpers/instance.ts";
import { start } from "../../test/helpers/run.ts";
import { dockerStateDir } from "../../test/helpers/supervised.ts";
import type { User } from "../../test/helpers/user.ts";
import { webServer } from "../../test/helpers/web.ts";
import { Faults } from "./faults.ts";
import { planFaults } from "./plan.ts";
import { Clients } from "./requests.ts";
import { type Before, defects, notEnded, notServing } from "./verdict.ts";

interface ChaosOptions {
  readonly user: User;
  /** The runnable tree, where the user can read it. */
  readonly tree: string;
  readonly seed: number;
  readonly seconds: number;
  /** Of `rlkit run`; its own choice unless told. */
  readonly net?: string;
  /** Faults that are left out: roles, `restart`, `request`. */
  readonly without?: readonly string[];
  /** Gets a line for each thing that happens. */
  readonly say?: (line: string) => void;
}

interface Outcome {
  /** What is wrong at the end, a line each; empty if all is well. */
  readonly wrong: readonly string[];
  readonly faults: number;
  /** Pages that came to the clients meanwhile. */
  readonly fetched: number;
  /** How many did not, by the reason. */
  readonly failed: Readonly<Record<string, number>>;
  /** What rlkit and dockerd wrote. */
  readonly log: string;
}

/** Kills at random are no crash loop; and dockerd is to be found hanging before its SIGCONT comes. */
const OPTIONS = ["--restart-burst=0/60", "--health-interval=1s"];
const OUTSIDE = "from outside";

/** Runs dockerd with five containers, does to it what the seed says for a while, and looks whether all is well afterwards. */
export async function chaos(options: ChaosOptions): Promise<Outcome> {
  const { user, tree, seed, seconds, net, without = [], say = () => {} } = options;
  await using web = await webServer(OUTSIDE);
  const words = ["run", ...OPTIONS, ...(net === undefined ? [] : [`--net=${net}`])];
  const dockerd = ["dockerd", "--experimental", "--storage-driver", "vfs"];
  await using run = start(user, [join(tree, "bin", "rlkit"), ...words, "--", ...dockerd]);
  await answering(user, run);
  await importImage(user);
  const pages = await fiveContainers(user);
  const api = { user, socket: join(dockerStateDir(user), "api.sock") };
  const before: Before = {
    ...{ user, run, api, pages },
    lives: await lives(user),
    outside: { url: web.url, text: OUTSIDE },
  };
  const clients = new Clients(api, tree);
  const init = await childPid(dockerStateDir(user));
  const faults = new Faults({ user, rlkit: run.pid, init, tree, clients });
  const plan = planFaults(seed, seconds * 1000, without);

  await using loop = fetchLoop(pages);
  await loop.more(1);
  const began = performance.now();
  const tell = (text: string) => say(`${((performance.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
  for (const { at, fault } of plan) {
    await pause(Math.max(0, began + at - performance.now()));
    tell(await faults.act(fault, (text) => tell(`  ${text}`)));
  }
  await pause(Math.max(0, began + seconds * 1000 - performance.now()));
  await faults.settle();
  tell("the faults are over");
  if (await faults.proxiesLost()) tell(`  a docker-proxy was lost since dockerd started: ${await faults.restart()}`);

  const wrong = await notServing(before, clients);
  for (const line of wrong) tell(line);
  await loop.stop();
  tell("SIGTERM to rlkit");
  const failed = reasons(loop.failures);
  const { ECONNREFUSED: refused = 0 } = failed;
  if (refused > 0 && !faults.proxiesEverLost) wrong.push(`${refused} clients of published ports were refused`);
  wrong.push(...(await notEnded(before, clients.published.values())), ...defects(run));
  return { wrong, faults: plan.length, fetched: loop.fetched, failed, log: run.stderr };
}

function reasons(failures: readonly { readonly why: string }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { why } of failures) counts[why] = (counts[why] ?? 0) + 1;
  return counts;
}
