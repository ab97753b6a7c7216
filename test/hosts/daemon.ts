import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { until, within } from "../helpers/wait.ts";
import type { Cell } from "./cells.ts";
import { type Host, lastLine, RLKIT } from "./host.ts";

/** Debian's script, as its package has it. */
const DEBIANS = "/usr/share/docker.io/contrib/dockerd-rootless.sh";
const LOG = "/tmp/dockerd.log";
const PID = "/tmp/dockerd.pid";

export const CLIENT = "export DOCKER_HOST=unix://$XDG_RUNTIME_DIR/docker.sock; ";

export interface Daemon {
  /** Milliseconds from its start to its first answer. */
  readonly ready: number;
  /** Sends TERM and waits for the end: the exit status, or the signal's name. */
  stop(): Promise<number | string>;
}

/** Starts dockerd in a host, by way of rlkit or of the RootlessKit that Debian has, and waits until it answers. */
export async function startDaemon(host: Host, cell: Cell, launcher: "rlkit" | "rootlesskit"): Promise<Daemon> {
  const script = cell.start === "debian" ? DEBIANS : `${RLKIT}/bin/dockerd-rootless.sh`;
  const variables = Object.entries({ NET: cell.net, MTU: "65520", PORT_DRIVER: portDriver(host, cell) });
  const words = [
    `echo $$ >${PID};`,
    launcher === "rlkit" ? `PATH=${RLKIT}/bin:$PATH` : "",
    ...variables.map(([name, value]) => `DOCKERD_ROOTLESS_ROOTLESSKIT_${name}=${value}`),
    `exec ${script} --storage-driver ${cell.storage} >${LOG} 2>&1`,
  ];
  const begin = performance.now();
  const child = host.start(words.join(" "));
  const status = once(child, "exit").then(([code, signal]) => (code ?? signal) as number | string);
  let ended: number | string | undefined;
  status.then((value) => {
    ended = value;
  });
  const read = () => readFileSync(join(host.files, LOG), "utf8");
  const end = begin + 30_000;
  while (!(await answers(host))) {
    if (ended !== undefined) throw new Error(`ended with ${ended}: ${lastLine(read())}`);
    if (performance.now() > end) throw new Error(`no answer within 30 s: ${lastLine(read())}`);
    await pause(5);
  }
  return {
    ready: performance.now() - begin,
    async stop() {
      await host.sh(`kill -TERM $(cat ${PID})`);
      return await within(20_000, () => `dockerd's end: ${lastLine(read())}`, status);
    },
  };
}

/** What the script is told: pasta's own forwarding where the script knows of that, builtin everywhere else. */
export function portDriver(host: Host, { net }: Cell): string {
  return net === "pasta" && readFileSync(join(host.files, DEBIANS), "utf8").includes("implicit")
    ? "implicit"
    : "builtin";
}

/** Whether dockerd answers: asked from outside the host, without the time that it takes to enter it. */
function answers({ files }: Host): Promise<boolean> {
  return new Promise((resolve) => {
    const socketPath = join(files, "run/user/1000/docker.sock");
    const ping = request({ socketPath, path: "/_ping", timeout: 5000, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.once("error", () => resolve(false));
    ping.once("timeout", () => ping.destroy());
    ping.end();
  });
}

/** What there is of the user's in a host, a line each: processes, mounts, files that don't last. */
export async function traces(host: Host): Promise<string[]> {
  // dockerd's and runc's run-time directories are left wherever they run. The dump is containerd's: dockerd asks for it
  // (rarely) when TERM comes while it looks whether containerd is well.
  const text = await host.root(
    "sh",
    "-c",
    `ps -eo uid,stat,pid,args --no-headers | awk '$1 >= 1000 && $2 !~ /^[ZX]/ { $1 = "process"; print }'
    awk '{ print "mount " $5 }' /proc/1/mountinfo
    find /tmp /run/user/1000 -mindepth 1 -maxdepth 1 \\
      ! -path ${LOG} ! -path ${PID} ! -path /run/user/1000/docker ! -path /run/user/1000/runc \\
      ! -name 'containerd.*.stacks.log' -printf 'file %p\\n'`,
  );
  return text.split("\n").filter(Boolean);
}

/** What has come since `before`, once nothing goes away any more, or after two seconds. */
export async function leftSince(host: Host, before: readonly string[]): Promise<string[]> {
  const left = async () => (await traces(host)).filter((line) => !before.includes(line));
  try {
    await until(async () => (await left()).length === 0, { deadline: 2000, every: 100 });
    return [];
  } catch {
    return await left();
  }
}
