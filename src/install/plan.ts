import { join } from "node:path";
import { type InstallFacts, servicePath } from "./facts.ts";
import type { Layout } from "./layout.ts";
import { contextNotes, contextSteps } from "./plan-context.ts";
import { serviceSteps } from "./plan-service.ts";
import { subidSteps } from "./plan-subids.ts";
import { environmentFile, profileBlock, shellLines } from "./shell-lines.ts";
import type { Plan, Step } from "./step.ts";
import type { Service } from "./unit.ts";

/** The programs that are to be found under `--bin-dir`. */
export interface Programs {
  /** Where they lie; for a version that is unpacked, by way of the link `current`. */
  directory: string;
  names: readonly string[];
  /** A version's own directory, to which `current` is to lead; undefined for programs that lie somewhere else. */
  version: string | undefined;
  /** They are on PATH where they are. */
  onPath: boolean;
}

/** What the user has decided. */
export interface PlanOptions {
  socket: boolean;
  context: boolean;
  shellProfile: string | undefined;
  dockerdArgs: readonly string[];
  /** The names of further instances that start with the session. */
  instances: readonly string[];
}

/** Everything that an installation is to make; pure. */
export function planInstall(layout: Layout, facts: InstallFacts, programs: Programs, options: PlanOptions): Plan {
  const isSystem = layout.scope === "system";
  const linked = programs.onPath ? undefined : layout.bin;
  const service: Service = {
    rlkit: facts.own.find(({ name }) => name === "rlkit")?.path ?? "rlkit",
    dockerdArgs: options.dockerdArgs,
    env: {
      PATH: servicePath(linked ?? programs.directory, facts),
      ...(facts.node === undefined ? {} : { RLKIT_NODE: facts.node }),
    },
    socket: options.socket,
  };
  const lines = shellLines({ bin: linked, ...facts });
  const withService = serviceSteps(layout, facts, service, options.instances);
  return {
    steps: [
      ...(programs.onPath ? [] : linkSteps(layout, facts, programs)),
      ...(isSystem ? subidSteps(facts) : []),
      ...withService.steps,
      ...(facts.init === "systemd" && layout.environmentFile !== undefined
        ? [environmentStep(layout.environmentFile, linked)]
        : []),
      ...(options.shellProfile === undefined ? [] : [profileStep(options.shellProfile, linked, facts)]),
      ...(isSystem || !options.context ? [] : contextSteps(facts, programs, layout, options.instances)),
    ],
    // An administrator is not who will use it.
    shellLines: options.shellProfile === undefined && !isSystem ? lines : [],
    notes: [...withService.notes, ...contextNotes(facts, programs, layout, options)],
    start: withService.start,
  };
}

function linkSteps({ bin, current, versions }: Layout, { own }: InstallFacts, programs: Programs): Step[] {
  const version = programs.version;
  const ours = new Set(own.map(({ name }) => name));
  const link = (name: string, target: string, why: string): Step => ({
    do: "link",
    path: join(bin, name),
    target,
    why,
  });
  return [
    ...(version === undefined
      ? []
      : [{ do: "link", path: current, target: join(versions, version), why: "the version in use" } satisfies Step]),
    ...own.map(({ name, path }) =>
      link(name, path, name === "rlkit" ? "rlkit itself" : "rlkit, which stands in for it"),
    ),
    ...programs.names
      .filter((name) => !ours.has(name))
      .map((name) =>
        link(name, join(version === undefined ? programs.directory : current, name), "a program of Docker's"),
      ),
  ];
}

const environmentStep = (path: string, bin: string | undefined): Step => ({
  do: "file",
  path,
  content: environmentFile(bin),
  mode: 0o644,
  why: "programs of the next login find the daemon",
});

const profileStep = (path: string, bin: string | undefined, facts: InstallFacts): Step => ({
  do: "block",
  path,
  text: profileBlock(shellLines({ bin, ...facts }, path.endsWith(".fish"))),
  why: "shells find the daemon",
});
