import { expect } from "vitest";
import { runOptions } from "../../src/cli/options.ts";
import { parseQuickly } from "../../src/cli/parse.ts";
import type { DockerFacts } from "../../src/host/docker-facts.ts";
import type { HostFacts } from "../../src/host/facts.ts";
import { pasta } from "../../src/network/pasta.ts";
import { slirp4netns } from "../../src/network/slirp4netns.ts";
import { resolveRunOptions } from "../../src/options/run-options.ts";
import type { OperationName } from "../../src/plan/operations.ts";
import { planRun } from "../../src/plan/planner.ts";
import type { Action, Step, StepOf } from "../../src/plan/steps.ts";

const range = [{ start: 100000, length: 65536 }];
export const ids = {
  delegated: { ranges: range, from: "/etc/subuid" },
  file: "alice:100000:65536\n",
  outer: [{ inside: 0, outside: 0, length: 4294967295 }],
};
const tool = (path: string) => ({ path, owner: 0, setuid: true, capability: undefined, nosuidMount: undefined });

export const facts: HostFacts = {
  ids: {
    user: { name: "alice", uid: 1001, gid: 1001 },
    gid: 1001,
    localUser: true,
    subidService: undefined,
    noNewPrivs: false,
    path: "/usr/bin",
    newuidmap: tool("/usr/bin/newuidmap"),
    newgidmap: tool("/usr/bin/newgidmap"),
    ids: { uid: ids, gid: ids },
  },
  network: {
    slirp4netns: { path: "/usr/bin/slirp4netns", features: new Set(slirp4netns.probes) },
    pasta: { path: "/usr/bin/pasta", features: new Set(pasta.probes) },
    tunProblem: undefined,
    defaultRoute: true,
  },
  copyUp: [],
  hostname: "thishost",
  hostsFile: "127.0.0.1 localhost\n",
  cgroup2: true,
  rootShared: true,
  temporaryDir: "/run/user/1001",
  runId: "42",
  docker: undefined,
};

export const dockerFacts: DockerFacts = {
  home: "/home/alice",
  runtimeDir: { path: "/run/user/1001", origin: "environment" },
  settings: {
    mtu: false,
    storageDriver: false,
    liveRestore: false,
    dataRoot: "/home/alice/.local/share/docker",
    pidFiles: ["/run/user/1001/docker.pid", "/run/user/1001/docker/containerd/containerd.pid"],
    apart: [],
    host: "unix:///run/user/1001/docker.sock",
  },
  configFile: "/home/alice/.config/docker/daemon.json",
  config: {},
  cgroups: {
    uid: 1000,
    version2: true,
    userManager: true,
    group: "/user.slice/user-1000.slice/user@1000.service/app.slice/docker.service",
    delegated: true,
    controllers: ["cpu", "cpuset", "io", "memory", "pids"],
  },
  swarm: false,
  priorStorage: undefined,
  fuseOverlayfs: true,
  selinux: false,
  version: { major: 20, minor: 10 },
};
export const etcAndRun = ["/etc", "/run"].map((path) => ({ path, bound: [] }));

/** The plan of `rlkit run` with this argv on the host of the facts, changed in some. */
export function plan(argv: readonly string[], changed: Partial<HostFacts> = {}, env: Record<string, string> = {}) {
  const options = resolveRunOptions(parseQuickly(runOptions, argv), { PATH: "/usr/bin", ...env }, "/");
  return planRun(options, { ...facts, ...changed });
}

/** The same for dockerd. */
export const dockerPlan = (
  argv: readonly string[],
  docker: Partial<DockerFacts> = {},
  changed: Partial<HostFacts> = {},
) => plan(argv, { copyUp: etcAndRun, docker: { ...dockerFacts, ...docker }, ...changed });

/** The steps' names: `do`, for those inside the operation. */
export const names = (steps: readonly Step[]): string[] =>
  steps.map((step) => (step.do === "inside" ? step.op[0] : step.do));

/** The first step of a kind. */
export function step<K extends Action["do"]>(steps: readonly Step[], kind: K): StepOf<K> {
  const found = steps.find((candidate): candidate is StepOf<K> => candidate.do === kind);
  return found ?? expect.unreachable(`no step ${kind}`);
}

/** The operations of one name, in their order. */
export const operations = (steps: readonly Step[], name: OperationName) =>
  steps.flatMap((candidate) => (candidate.do === "inside" && candidate.op[0] === name ? [candidate.op] : []));
