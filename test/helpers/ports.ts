import { copyFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import { askJson } from "./api.ts";
import { childPid, type Instance, said } from "./instance.ts";
import { PEER, type Peer, peer } from "./peer.ts";
import { commandLine, descendants } from "./processes.ts";
import { start, tree } from "./run.ts";
import type { User } from "./user.ts";
import { until } from "./wait.ts";

/** A port as a client of the API asks for it. */
interface Spec {
  readonly proto: string;
  readonly parentIP?: string;
  /** 0 unless told: any free one. */
  readonly parentPort?: number;
  readonly childIP?: string;
  readonly childPort: number;
}

/** A published port as the API tells it. */
export interface Port {
  readonly id: number;
  readonly spec: Spec & { readonly parentPort: number };
  readonly counters?: Record<"open" | "accepted" | "bytesIn" | "bytesOut" | "failed" | "plain", number>;
}

/** A client of the API of one instance. */
export interface PortsApi {
  publish(spec: Spec): Promise<Port>;
  publishAll(specs: readonly Spec[]): Promise<Port[]>;
  /** Asks for something that is to be refused; resolves to the message. */
  refusal(body: Spec | readonly Spec[]): Promise<string>;
  unpublish(id: number): Promise<void>;
  list(): Promise<Port[]>;
  counters(id: number): Promise<NonNullable<Port["counters"]>>;
}

export function portsApi(user: User, stateDir: string): PortsApi {
  const api = { user, socket: join(stateDir, "api.sock") };
  async function answer<T>(status: number, method: string, path: string, body?: unknown): Promise<T> {
    const [got, json] = await askJson<T>(api, method, path, body);
    expect(got, JSON.stringify(json)).toBe(status);
    return json;
  }
  return {
    publish: (spec) => answer(201, "POST", "/v1/ports", spec),
    publishAll: (specs) => answer(201, "POST", "/v1/ports", specs),
    refusal: async (body) => (await answer<{ message: string }>(400, "POST", "/v1/ports", body)).message,
    unpublish: (id) => answer(200, "DELETE", `/v1/ports/${id}`),
    list: async () => (await answer<Port[] | null>(200, "GET", "/v1/ports")) ?? [],
    async counters(id) {
      const ports = await answer<Port[]>(200, "GET", "/v1/ports?counters");
      return ports.find((port) => port.id === id)?.counters ?? expect.unreachable(`no counters of port ${id}`);
    },
  };
}

/** A run whose command listens and connects as it is told, and whose ports can be published. */
export type Inside = Instance & Peer & PortsApi;

/**
 * Starts a peer under rlkit. The soft limit of open files is that of a login: the Node that runs the tests has raised its own, and
 * hands that down.
 */
export async function inside(user: User, options: readonly string[]): Promise<Inside> {
  await copyFile(PEER, join(user.home, "peer.mjs"));
  const stateDir = join(user.runtimeDir, "state");
  const script = 'echo ready; exec node "$HOME/peer.mjs"';
  const argv = [join(tree(), "bin", "rlkit"), "run", `--state-dir=${stateDir}`, ...options, "--", "sh", "-c", script];
  const run = start(user, ["prlimit", "--nofile=1024:", ...argv], { stdin: "pipe" });
  const dispose = () => run[Symbol.asyncDispose]();
  try {
    await said(run, "ready");
    const pid = await childPid(stateDir);
    return { run, stateDir, childPid: pid, ...peer(run), ...portsApi(user, stateDir), [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** The pid of the process that forwards the ports of a run; it is started by the first port. */
export function portdOf({ run }: Instance): Promise<number> {
  const isPortd = ({ pid }: { pid: number }) => commandLine(pid).endsWith("rlkit-ns portd 3");
  return until(() => descendants(run.pid).find(isPortd)?.pid, { what: "rlkit-ns portd" });
}
