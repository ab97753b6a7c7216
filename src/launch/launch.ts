import { chmodSync, closeSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { listenApi } from "../api/listener.ts";
import { makePrivateDir } from "../host/session.ts";
import { log, logs } from "../log.ts";
import { bindNotify, isTerminal, pipe } from "../native/calls.ts";
import { HelperProcess } from "../network/helper-process.ts";
import type { Lease } from "../network/lease.ts";
import { resolvConfOf } from "../network/name-servers.ts";
import { environmentList, type RunOptions } from "../options/run-options.ts";
import type { PlannedRun } from "../plan/planner.ts";
import { printAction } from "../plan/print.ts";
import type { Action, StepOf } from "../plan/steps.ts";
import type { HostAccessPorts } from "../ports/host-access.ts";
import type { Ports } from "../ports/ports.ts";
import { formatPortSpec } from "../ports/spec.ts";
import { chooseStorage } from "../profiles/choose-storage.ts";
import { Child } from "./children.ts";
import type { Control } from "./control.ts";
import { explainExec } from "./explain-exec.ts";
import { writeIdMaps } from "./id-maps.ts";
import { endAllIn, openUserNamespace } from "./leftovers.ts";
import { runInside } from "./run-inside.ts";
import type { Scope } from "./scope.ts";
import type { Signals } from "./signals.ts";
import { startInit } from "./start-init.ts";
import { lockStateDir } from "./state-dir.ts";

/** A run whose target has been started. */
export interface Instance {
  init: Child;
  control: Control;
  /** The target's pid as init sees it. */
  target: number;
  /** Starts the target once more, as another program if one is named; resolves to its pid. Throws RlkitError("COMMAND"). */
  startTarget(program?: string): Promise<number>;
  /** Where what the target writes to standard error can be read; undefined where it goes to rlkit's own directly. */
  targetErrors: number | undefined;
  helper: HelperProcess | undefined;
  /** The address that a bridge's DHCP server gave. */
  lease: Lease | undefined;
  /** A process in the run's network namespace, by its pid outside: init, or one that does nothing. */
  networkPid: number;
  /** Starts another network helper for the same namespaces, in place of one that is no more. */
  startHelper(): HelperProcess;
  /** api.sock, listening. */
  apiFd: number;
  /** The published ports; loaded when somebody asks for them. Undefined where there is no driver for any. */
  ports(): Promise<Ports | undefined>;
  /** The host's ports that are open inside, if there are any. */
  hostPorts: HostAccessPorts | undefined;
}

/** What the steps of one launch leave for later ones. */
interface Launch {
  readonly run: PlannedRun;
  readonly options: RunOptions;
  readonly env: readonly string[];
  readonly scope: Scope;
  readonly signals: Signals;
  init?: Child;
  control?: Control;
  /** An fd of the user namespace that init has made. */
  userNamespace?: number;
  /** Where that is not init. */
  networkPid?: number;
  helper?: HelperProcess;
  lease?: Lease;
  startHelper?: Instance["startHelper"];
  apiFd?: number;
  target?: number;
  startTarget?: Instance["startTarget"];
  targetErrors?: Instance["targetErrors"];
  ports?: Promise<Ports | undefined>;
  hostPorts?: HostAccessPorts;
  /** What steps found out that the target is to be told. */
  extraArgs: string[];
}

/** Writes a file of the state directory; its mode is what others rely on, whatever the umask. */
function writeState({ stateDir }: PlannedRun, name: string, content: string, mode: number): void {
  const path = join(stateDir, name);
  writeFileSync(path, content, { mode });
  chmodSync(path, mode);
}

type Handlers = { [K in Action["do"]]: (launch: Launch, step: StepOf<K>) => Promise<void> | void };

/** The part of a launch that an earlier step has made; the planner puts that step first. */
function made<T>(part: T | undefined, what: string): T {
  if (part === undefined) throw new Error(`the plan needs ${what} before it is made`);
  return part;
}

const handlers: Handlers = {
  "make-private-dir": (_, { path }) => makePrivateDir(path),

  "lock-state-dir": ({ scope }, { path }) => scope.defer(lockStateDir(path)),

  "start-init": (launch, { env }) => {
    const { init, control } = startInit(env, launch.signals.check);
    launch.init = init;
    launch.control = control;
    launch.scope.defer(async () => {
      control.close();
      const status = await launch.init?.wait(5000);
      await launch.helper?.gone(); // told to stop before this: the two end side by side
      // Told to end, init ends what runs inside and then itself, with status 0; killed, it could do neither.
      if (status !== 0 && launch.userNamespace !== undefined) await endAllIn(launch.userNamespace);
    });
  },

  inside: async (launch, step) => {
    await runInsideSteps(launch, [step]);
  },

  "write-id-maps": async (launch, step) => {
    const { pid } = made(launch.init, "init");
    launch.userNamespace = openUserNamespace(pid);
    await writeIdMaps(step, pid, launch.env, launch.signals.check);
  },

  "start-helper": (launch, step) => {
    launch.startHelper = () => {
      const pid = launch.networkPid ?? made(launch.init, "init").pid;
      const helper = new HelperProcess(step, pid, launch.run.stateDir, launch.env);
      launch.helper = helper;
      return helper;
    };
    launch.startHelper();
    launch.scope.defer(() => launch.helper?.stop());
  },

  "evacuate-cgroup": async (_, { name }) => (await import("./evacuate.ts")).evacuateCgroup(name),

  "plug-in": async ({ init, networkPid, env }, { path, bridge, ifname }) => {
    const { plugIn } = await import("../network/plug-in.ts");
    plugIn({ path, bridge, ifname, pid: networkPid ?? made(init, "init").pid, env });
  },

  "await-lease": async (launch, { ifname, mac }) => {
    const { Lease } = await import("../network/lease.ts");
    const { control, init, networkPid, run, scope, signals } = launch;
    launch.lease = await Lease.acquire({
      control: made(control, "init"),
      pid: networkPid ?? made(init, "init").pid,
      ifname,
      mac: Buffer.from(mac, "hex"),
      learned: ({ nameServers }) => writeState(run, "resolv.conf", resolvConfOf(nameServers), 0o644),
      interrupted: signals.check,
    });
    scope.defer(() => launch.lease?.close());
  },

  "await-helper": ({ helper, signals }) => made(helper, "the network helper").ready(signals.check),

  "write-state-file": ({ run }, { name, content }) => writeState(run, name, content, 0o644),

  "choose-storage": async (launch, step) => {
    const driver = await chooseStorage(made(launch.control, "init"), step);
    launch.extraArgs.push(`--storage-driver=${driver}`);
  },

  publish: async (launch, { ports }) => {
    const published = await (await portsOf(launch))?.table.addAll(ports);
    for (const { spec } of published ?? []) log.info(`published ${formatPortSpec(spec)}`);
  },

  "open-host-ports": async (launch, { ports }) => {
    const { HostAccessPorts } = await import("../ports/host-access.ts");
    const hostPorts = new HostAccessPorts(made(launch.control, "init"), launch.signals.check);
    launch.hostPorts = hostPorts;
    launch.scope.defer(() => hostPorts.close());
    await hostPorts.open(ports);
  },

  execute: async ({ control, run }, { argv, why }) => {
    const { executeInside } = await import("./execute-inside.ts");
    const { status, output } = await executeInside(made(control, "init"), argv, environmentList(run.profile.env)).catch(
      (error: Error) => ({ status: 127, output: error.message }),
    );
    if (status !== 0) log.warn(`${argv.join(" ")}: status ${status}: ${output.trim()} (${why})`);
  },

  "write-child-pid": ({ run, init }) => {
    writeState(run, "child_pid", String(made(init, "init").pid), 0o444);
  },

  "listen-api": (launch) => {
    launch.apiFd = listenApi(launch.run.stateDir);
  },

  "listen-notify": async ({ control }, { path }) => {
    const fd = bindNotify(path);
    await made(control, "init").watch(fd);
    closeSync(fd);
  },

  "start-target": async (launch, step) => {
    const [program = "", ...args] = [...step.argv, ...launch.extraArgs];
    const { env, openFiles, newSession, daemon, activation } = step;
    const errors = daemon && !isTerminal(2) ? pipe() : undefined;
    const sockets = Array.from({ length: activation?.count ?? 0 }, (_, i) => 3 + i);
    const listenPid = activation?.own === true;
    launch.targetErrors = errors?.[0];
    launch.startTarget = async (given = program) => {
      try {
        const argv = [given, ...args];
        return await made(launch.control, "init").spawn({
          argv,
          env: listenPid ? env.map((entry) => entry.replace(/^LISTEN_PID=.*/, "LISTEN_PID=0000000000")) : env,
          target: true,
          openFiles,
          newSession,
          listenPid,
          fds: [0, 1, errors?.[1] ?? 2, ...sockets],
        });
      } catch (error) {
        throw explainExec(given, error);
      }
    };
    launch.target = await launch.startTarget();
  },
};

function portsOf(launch: Launch): Promise<Ports | undefined> {
  const { run, options, signals } = launch;
  launch.ports ??= (async () => {
    const { makePorts } = await import("../ports/ports.ts");
    const ports = makePorts({
      name: run.portDriver,
      network: run.network,
      stateDir: run.stateDir,
      control: made(launch.control, "init"),
      interrupted: signals.check,
      options,
    });
    launch.scope.defer(() => ports?.close());
    return ports;
  })();
  return launch.ports;
}

async function runInsideSteps(launch: Launch, steps: readonly StepOf<"inside">[]): Promise<void> {
  const result = await runInside(made(launch.control, "init"), steps);
  // The process that goes on as pid 1 inside is a child of ours as well; the one that forked it has ended.
  if (steps.at(-1)?.op[0] === "fork_pid1") {
    launch.init?.poll();
    launch.init = new Child(result);
  }
  if (steps.at(-1)?.op[0] === "detach_netns") {
    const { descendants, innerPid } = await import("../supervisor/processes.ts");
    const holder = descendants(made(launch.init, "init").pid).find(({ pid }) => innerPid(pid) === result);
    launch.networkPid = made(holder, "the network namespace").pid;
  }
}

/** Operations whose result is needed before the next one. */
const endsBatch = ["fork_pid1", "detach_netns"];

/** Carries out a plan up to the target's start. What it acquires is undone by the scope, also when it throws. */
export async function launch(run: PlannedRun, options: RunOptions, scope: Scope, signals: Signals): Promise<Instance> {
  const state: Launch = { run, options, env: environmentList(options.env), scope, signals, extraArgs: [] };
  let batch: StepOf<"inside">[] = [];
  for (const step of run.steps) {
    signals.check();
    if (logs("debug")) log.debug(printAction(step), { why: step.why });
    if (step.do === "inside") {
      batch.push(step);
      if (!endsBatch.includes(step.op[0])) continue;
    }
    // Operations inside that follow each other go in one request.
    if (batch.length > 0) await runInsideSteps(state, batch);
    batch = [];
    if (step.do === "inside") continue;
    await (handlers[step.do] as (launch: Launch, step: Action & { why: string }) => Promise<void> | void)(state, step);
  }
  return {
    init: made(state.init, "init"),
    control: made(state.control, "init"),
    target: made(state.target, "the target"),
    startTarget: made(state.startTarget, "the target"),
    targetErrors: state.targetErrors,
    helper: state.helper,
    lease: state.lease,
    networkPid: state.networkPid ?? made(state.init, "init").pid,
    startHelper: () => made(state.startHelper, "a network helper")(),
    apiFd: made(state.apiFd, "api.sock"),
    ports: () => portsOf(state),
    hostPorts: state.hostPorts,
  };
}
