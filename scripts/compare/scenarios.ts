import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isRunning } from "../../test/helpers/processes.ts";
import type { Running } from "../../test/helpers/run.ts";
import { until } from "../../test/helpers/wait.ts";
import type { Case } from "./cases.ts";
import type { Subject, Transcript } from "./subject.ts";

const scenario = (id: string, run: Case["run"]): Case => ({ id, run });

const TRAP = (signal: string) =>
  `trap "echo got ${signal}; exit 9" ${signal}; echo ready; while :; do sleep 0.05; done`;

/** Starts a command in a state directory `s`, and waits until it has said that it is ready and the API is there. */
async function running(subject: Subject, options: string, script: string): Promise<Running> {
  const run = subject.start(`exec rootlesskit --state-dir=s ${options} sh -c '${script}'`);
  await until(() => run.stdout.includes("ready"), { what: `ready: ${run.stderr}` });
  await until(async () => (await readFile(join(subject.directory, "s", "child_pid"), "utf8")) !== "");
  await until(async () => (await subject.shell("test -S s/api.sock")).status === "0");
  return run;
}

/** How a run ends, after something was done to it. */
async function ended(subject: Subject, run: Running): Promise<Transcript> {
  const { code, signal, stdout, stderr } = await run.result(10_000);
  return subject.transcript({ status: String(code ?? signal), stdout, stderr });
}

const childPid = async ({ directory }: Subject): Promise<number> =>
  Number(await readFile(join(directory, "s", "child_pid"), "utf8"));

const signals = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGQUIT"] as const;

const toParent = signals.flatMap((signal) => [
  scenario(`${signal} to rootlesskit, of which the command takes no notice of its own`, async (subject) => {
    await using run = await running(subject, "", "echo ready; while :; do sleep 0.05; done");
    run.kill(signal);
    return await ended(subject, run);
  }),
  scenario(`${signal} to rootlesskit, which the command handles`, async (subject) => {
    await using run = await running(subject, "", TRAP(signal.slice(3)));
    run.kill(signal);
    return await ended(subject, run);
  }),
]);

const toChild = (["SIGUSR1", "SIGTERM"] as const).flatMap((signal) =>
  ["", "--pidns"].map((options) =>
    scenario(`${signal} to child_pid ${options}`.trimEnd(), async (subject) => {
      await using run = await running(subject, options, "echo ready; while :; do sleep 0.05; done");
      process.kill(await childPid(subject), signal);
      return await ended(subject, run);
    }),
  ),
);

const killed = scenario(
  "kill -9 of rootlesskit: all of it ends, and a new start in the same place works",
  async (subject) => {
    await using run = await running(subject, "--net=slirp4netns --disable-host-loopback", "echo ready; exec sleep 60");
    const child = await childPid(subject);
    run.kill("SIGKILL");
    await run.result(5000);
    await until(() => !isRunning(child), { deadline: 5000 });
    await using again = await running(subject, "", "echo ready; echo again; exec sleep 60");
    again.kill("SIGTERM");
    return await ended(subject, again);
  },
);

const files = ["", "--net=none", "--net=slirp4netns --disable-host-loopback --port-driver=builtin"].map((options) =>
  scenario(`the state directory, ${options || "no options"}`, async (subject) => {
    await using run = await running(subject, options, "echo ready; exec sleep 60");
    const list = await subject.shell(
      `cd s; stat -c '%a %F %n' . lock child_pid api.sock hosts resolv.conf 2>&1; tail -c 1 child_pid | od -c | head -1 | grep -c '\\\\n'; cat resolv.conf 2>&1`,
    );
    run.kill("SIGTERM");
    const end = await ended(subject, run);
    return { ...list, "left behind at the end": end["left behind"] ?? "nothing" };
  }),
);

const busy = scenario("a state directory that is in use", async (subject) => {
  await using run = await running(subject, "", "echo ready; exec sleep 60");
  const second = await subject.shell("rootlesskit --state-dir=s true");
  run.kill("SIGTERM");
  await run.result(5000);
  return second;
});

const given = scenario("a state directory that is there before, and empty", (subject) =>
  subject.shell("mkdir given; rootlesskit --state-dir=given true; test -e given; echo $?"),
);

const stale = scenario("a state directory with what a killed run has left", (subject) =>
  subject.shell(
    "mkdir old; touch old/lock old/api.sock; echo 1 >old/child_pid; rootlesskit --state-dir=old ls old; ls -d old",
  ),
);

const terminal = ["", "--pidns --reaper=false"].map((options) =>
  scenario(`at a terminal ${options}`.trimEnd(), async (subject) => {
    await using run = subject.start(
      `exec rootlesskit ${options} sh -c 'test -t 0 && test -t 1 && echo tty; exit 4'`,
      {},
      true,
    );
    return await ended(subject, run);
  }),
);

const PORTS = "--net=slirp4netns --disable-host-loopback --port-driver=builtin";
const CURL = "curl -s -i --unix-socket s/api.sock";

/** Requests to the API, one after the other, with their answers. */
function api(id: string, options: string, requests: readonly string[]): Case {
  return scenario(`API, ${id}`, async (subject) => {
    await using run = await running(subject, options, "echo ready; exec sleep 60");
    const answers: Record<string, string> = {};
    for (const request of requests) {
      const words = request.replace(/^(\S+) (\S+)/, `${CURL} -X $1 http://rootlesskit$2`);
      const { stdout = "" } = await subject.shell(words);
      const [head = "", ...body] = stdout.split("\r\n\r\n");
      const type = /^Content-Type: .*$/im.exec(head)?.[0] ?? "";
      answers[request] = [head.split("\r\n")[0], type, body.join("\n\n")].join("\n");
    }
    run.kill("SIGTERM");
    await run.result(5000);
    return answers;
  });
}

const post = (body: string): string => `POST /v1/ports -d '${body}'`;

const apis = [
  api("nothing is published", PORTS, [
    "GET /v1/info",
    "GET /v1/ports",
    "GET /v1/ports/",
    "GET /",
    "GET /v2/info",
    "PUT /v1/ports",
  ]),
  api("methods", PORTS, [
    "HEAD /v1/ports -I",
    "DELETE /v1/ports",
    "POST /v1/info",
    "GET /v1/ports/1",
    "DELETE /v1/ports/x",
  ]),
  api("ports", PORTS, [
    post('{"proto":"tcp","parentIP":"127.0.0.1","parentPort":28080,"childPort":80}'),
    post('{"proto":"tcp","parentIP":"127.0.0.1","parentPort":28080,"childPort":81}'),
    post('{"proto":"udp","parentIP":"127.0.0.1","parentPort":28080,"childPort":80,"childIP":"127.0.0.1"}'),
    "GET /v1/ports | sed 's/},{/},\\n{/' | sort",
    "DELETE /v1/ports/1",
    "DELETE /v1/ports/1",
    post('{"proto":"tcp","parentIP":"127.0.0.1","parentPort":28080,"childPort":80}'),
  ]),
  api("requests that are wrong", PORTS, [
    post('{"proto":"","parentPort":28081,"childPort":80}'),
    post('{"proto":"foo","parentPort":28081,"childPort":80}'),
    post('{"proto":"sctp","parentPort":28081,"childPort":80}'),
    post('{"proto":"tcp","parentIP":"zz","parentPort":28081,"childPort":80}'),
    post('{"proto":"tcp","childIP":"zz","parentPort":28081,"childPort":80}'),
    post('{"proto":"tcp","parentPort":70000,"childPort":80}'),
    post('{"proto":"tcp","parentPort":28081,"childPort":0}'),
    post('{"proto":"tcp","parentPort":"x","childPort":80}'),
    post("{"),
    post(""),
    post("[]"),
    post('{"proto":"tcp","parentIP":"192.0.2.1","parentPort":28081,"childPort":80}'),
    post('{"PROTO":"tcp","ParentIP":"127.0.0.1","parentport":28082,"childPort":80,"more":1}'),
    "DELETE /v1/ports/99",
  ]),
  api("without a port driver", "--net=none", ["GET /v1/info", "GET /v1/ports", post("{}"), "DELETE /v1/ports/1"]),
  api("with the host's network", "", ["GET /v1/info", "GET /v1/ports"]),
  api("slirp4netns forwards", "--net=slirp4netns --disable-host-loopback --port-driver=slirp4netns", [
    "GET /v1/info",
    post('{"proto":"tcp","parentIP":"127.0.0.1","parentPort":28083,"childPort":80}'),
    post('{"proto":"tcp6","parentPort":28084,"childPort":80}'),
    "DELETE /v1/ports/1",
  ]),
];

/** Each client with each server: the clients of the one that is not on PATH are called by its own path. */
const client = scenario("rootlessctl with its own server", async (subject) => {
  await using run = await running(subject, PORTS, "echo ready; exec sleep 60");
  const ctl = "rootlessctl --socket=s/api.sock";
  const script = [
    `${ctl} info`,
    `${ctl} info --json`,
    `${ctl} list-ports`,
    `${ctl} add-ports 127.0.0.1:28090:80/tcp 127.0.0.1:28091:81/udp`,
    `${ctl} add-ports --json 127.0.0.1:28092:82/tcp`,
    `${ctl} list-ports | sed 's/  *$//' | sort`,
    `${ctl} list-ports --json | sort`,
    `${ctl} add-ports 127.0.0.1:28090:80/tcp; echo $?`,
    `${ctl} add-ports 127.0.0.1:28093:80/tcp nonsense; echo $?`,
    `${ctl} remove-ports 1 2; ${ctl} remove-ports 99; echo $?`,
    "ROOTLESSKIT_STATE_DIR=s rootlessctl list-ports --json",
  ].join("; ");
  const said = await subject.shell(script);
  run.kill("SIGTERM");
  await run.result(5000);
  return said;
});

const published = scenario("-p: the port is there before the command, and goes with it", async (subject) => {
  const serve = "busybox httpd -f -p 127.0.0.1:80 -h /etc & echo ready; wait";
  await using run = await running(subject, `${PORTS} -p 127.0.0.1:28095:80/tcp`, serve);
  const get = "curl -s --retry 20 --retry-delay 0 --retry-all-errors http://127.0.0.1:28095/hostname | wc -l";
  const page = await subject.shell(get);
  run.kill("SIGTERM");
  await run.result(5000);
  await pause(50);
  return { ...page, afterwards: (await subject.shell("curl -s http://127.0.0.1:28095/")).status ?? "" };
});

/** Scripts look for options in the help. */
const help = ["rootlesskit", "rootlessctl"].map((program) =>
  scenario(`${program} --help names every option`, async (subject) => {
    const options = `${program} --help | grep -oE -- '--[a-z0-9-]+' | sort -u`;
    const { stdout = "", status = "" } = await subject.shell(options);
    const newer = /^--(print-semver|detach-netns|pasta-binary|pesto-binary|source-ip-transparent.*)$/; // than RootlessKit 1.1
    return {
      status,
      options: stdout
        .split("\n")
        .filter((option) => !newer.test(option))
        .join("\n"),
    };
  }),
);

/** What takes more than one command line. */
export const scenarios: readonly Case[] = [
  ...[...help, ...toParent, ...toChild, killed, ...files, busy, given, stale, ...terminal],
  ...[...apis, client, published],
];
