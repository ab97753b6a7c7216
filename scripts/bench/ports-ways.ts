import type { User } from "../../test/helpers/user.ts";
import { until, within } from "../../test/helpers/wait.ts";
import { freePorts, startInstance } from "./ports-instance.ts";
import type { Tools } from "./ports-tools.ts";
import { BARE } from "./statistics.ts";
import { end, label, type Subject, start } from "./subject.ts";

/** One way from a client on 127.0.0.1 to servers: none but the loopback, or a launcher's port driver. */
export interface Way {
  readonly label: string;
  /** Where serve.c answers, over TCP and UDP. */
  readonly port: number;
  /** Where iperf3 answers. */
  readonly iperf: number;
}

/** All ways at once; the servers of those that aren't measured just now wait. */
export interface Ways extends AsyncDisposable {
  readonly all: readonly Way[];
}

export async function openWays(user: User, subjects: readonly Subject[], tools: Tools): Promise<Ways> {
  const opened: AsyncDisposable[] = [];
  const all: Way[] = [];
  const close = async () => {
    for (const one of opened.reverse()) await one[Symbol.asyncDispose]();
  };
  async function open(name: string, start: (way: Way) => AsyncDisposable | Promise<AsyncDisposable>): Promise<void> {
    const port = freePorts(2);
    const way = { label: name, port, iperf: port + 1 };
    opened.push(await start(way));
    await until(() => answers(tools, way), { what: `an answer from ${name}`, deadline: 20_000 });
    all.push(way);
  }
  try {
    await open(BARE, (way) => servers(user, subjects, tools, way));
    for (const subject of subjects) {
      for (const net of subject.name === "rlkit" ? ["slirp4netns", "pasta"] : ["slirp4netns"]) {
        const name = net === "pasta" ? `${label(subject)}, pasta` : label(subject);
        await open(name, (way) => launcher(user, subject, tools, way, net));
      }
    }
  } catch (error) {
    await close();
    throw error;
  }
  return { all, [Symbol.asyncDispose]: close };
}

function launcher(user: User, subject: Subject, tools: Tools, way: Way, net: string): Promise<AsyncDisposable> {
  const { port, iperf } = way;
  return startInstance(user, subject, {
    name: `${subject.name}-${net}`,
    net,
    publish: [`${port}:${port}/tcp`, `${port}:${port}/udp`, `${iperf}:${iperf}/tcp`].map((spec) => `127.0.0.1:${spec}`),
    target: command(tools, way),
  });
}

/** Both servers as one command; iperf3 ends with the shell's pid, which is the other server's. */
function command(tools: Tools, { port, iperf }: Way): string[] {
  const script = `setpriv --pdeathsig TERM iperf3 -s -p ${iperf} >/dev/null 2>&1 & exec ${tools.serve} ${port}`;
  return ["/bin/sh", "-c", script];
}

function servers(user: User, [subject]: readonly Subject[], tools: Tools, way: Way): AsyncDisposable {
  const child = start(user, subject?.env ?? {}, command(tools, way));
  const ended = end(child);
  return {
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await within(10_000, () => "the end of the servers", ended);
    },
  };
}

async function answers(tools: Tools, way: Way): Promise<boolean> {
  await tools.load("short", way.port, 0);
  await tools.iperf(way.iperf, "--bytes=1K");
  return true;
}
