import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ApiOf, ask } from "../../test/helpers/api.ts";
import type { User } from "../../test/helpers/user.ts";
import { until, within } from "../../test/helpers/wait.ts";
import { end, label, type Subject, start } from "./subject.ts";

/** A launcher that runs, with an API that answers. Its end is waited for. */
export interface Instance extends AsyncDisposable {
  readonly subject: Subject;
  readonly pid: number;
  readonly stateDir: string;
  readonly api: ApiOf;
}

/** How an instance is started: `options` besides those that all have, and the command inside. */
interface How {
  readonly name: string;
  readonly net?: string;
  readonly publish?: readonly string[];
  readonly target: readonly string[];
}

export async function startInstance(user: User, subject: Subject, how: How): Promise<Instance> {
  const { name, net = "slirp4netns", publish = [], target } = how;
  const stateDir = join(user.runtimeDir, `bench-${name}`);
  const driver = [`--net=${net}`, "--disable-host-loopback", "--port-driver=builtin", `--state-dir=${stateDir}`];
  const options = [...driver, ...publish.map((spec) => `--publish=${spec}`)];
  const child = start(user, subject.env, subject.command(options, target));
  const ended = end(child);
  const died = ended.then((status) => {
    throw new Error(`${subject.command(options, target).join(" ")} ended with ${status}`);
  });
  died.catch(() => {}); // only the race below wants to hear of it
  const api = { user, socket: join(stateDir, "api.sock") };
  async function stop() {
    child.kill("SIGTERM");
    try {
      await within(20_000, () => `the end of ${label(subject)} after SIGTERM`, ended);
    } catch (error) {
      // Thrown, it would hide why the instance is stopped. What it leaves ends with the user.
      console.error((error as Error).message);
      process.exitCode = 1;
      child.kill("SIGKILL");
    }
  }
  try {
    const answers = async () => (await ask(api, "GET", "/v1/ports")).status === 200;
    await Promise.race([until(answers, { what: `the API of ${label(subject)}` }), died]);
  } catch (error) {
    await stop();
    throw error;
  }
  return { subject, pid: child.pid ?? 0, stateDir, api, [Symbol.asyncDispose]: stop };
}

/**
 * The first of `count` ports in a row that nobody has bound, for TCP or UDP, below those that the kernel hands out to clients.
 * Nothing keeps others from taking them before we do.
 */
export function freePorts(count: number): number {
  const bound = new Set(["tcp", "tcp6", "udp", "udp6"].flatMap(boundPorts));
  const [highest = "32768"] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").split(/\s/);
  let first = 10_000;
  for (let port = first; port < first + count; port += 1) if (bound.has(port)) first = port + 1;
  if (first + count > Number(highest)) throw new Error(`there are no ${count} free ports in a row`);
  return first;
}

function boundPorts(table: string): number[] {
  const path = `/proc/net/${table}`;
  if (!existsSync(path)) return []; // a kernel without IPv6
  const lines = readFileSync(path, "utf8").trimEnd().split("\n").slice(1);
  return lines.map((line) => Number.parseInt(/^\s*\d+: [0-9A-F]+:([0-9A-F]{4})/.exec(line)?.[1] ?? "", 16));
}
