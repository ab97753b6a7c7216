import { dirname, join } from "node:path";
import { CONTEXT, contextArguments, instanceContext } from "./docker-context.ts";
import type { InstallFacts } from "./facts.ts";
import type { Layout } from "./layout.ts";
import type { PlanOptions, Programs } from "./plan.ts";
import type { Step } from "./step.ts";

/** The docker client that will be there: among the programs, or on PATH. */
function clientOf({ docker }: InstallFacts, programs: Programs, { bin }: Layout): string | undefined {
  if (!programs.names.includes("docker")) return docker;
  return programs.onPath ? join(programs.directory, "docker") : join(bin, "docker");
}

/** The steps for the docker client's contexts: that of the instance without a name is the one in use. */
export function contextSteps(
  facts: InstallFacts,
  programs: Programs,
  layout: Layout,
  instances: readonly string[],
): Step[] {
  const docker = clientOf(facts, programs, layout);
  if (docker === undefined) return [];
  const { dockerConfig, runtimeDir, currentContext } = facts;
  const directory = dirname(dockerConfig);
  const parent = (path: string): Step => ({
    do: "directory",
    path,
    mode: 0o700,
    why: "the docker client keeps its contexts in it",
  });
  return [
    ...[directory, join(directory, "contexts"), join(directory, "contexts", "meta")].map(parent),
    { do: "settings", path: dockerConfig, why: "the docker client keeps the context in use in it" },
    contextStep(docker, CONTEXT, join(runtimeDir, "docker.sock")),
    {
      do: "command",
      what: `the docker context ${CONTEXT}, in use`,
      argv: [docker, ...contextArguments.use(CONTEXT)],
      unless: { argv: [docker, "context", "inspect", "-f", "{{.Name}}"], prints: CONTEXT },
      undo: [docker, ...contextArguments.use(currentContext === CONTEXT ? "default" : currentContext)],
      why: "the docker client takes it when nothing else is said",
    },
    ...instances.map((instance) => ({
      ...contextStep(docker, instanceContext(instance), join(runtimeDir, `docker-${instance}.sock`)),
      instance,
    })),
  ];
}

const contextStep = (docker: string, name: string, socket: string): Step => ({
  do: "command",
  what: `the docker context ${name}`,
  argv: [docker, ...contextArguments.create(name, socket)],
  unless: { argv: [docker, ...contextArguments.name(name)] },
  undo: [docker, ...contextArguments.remove(name)],
  why: "the docker client finds the daemon",
});

/** What is to be said about finding the daemon. */
export function contextNotes(
  facts: InstallFacts,
  programs: Programs,
  layout: Layout,
  { context }: PlanOptions,
): string[] {
  if (layout.scope === "system") {
    return [`${facts.user.name} then finds the daemon with: eval "$(rlkit env)"`];
  }
  const isMissing = context && clientOf(facts, programs, layout) === undefined;
  return isMissing ? ["there is no docker client, so no context is made for it"] : [];
}
