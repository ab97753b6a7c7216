import type { Command } from "./command.ts";

// Each is loaded only when it is the one asked for: loading is what costs a start-up.
const loaders: Record<string, () => Promise<{ command: Command }>> = {
  run: () => import("./run.ts"),
  plan: () => import("./plan.ts"),
  status: () => import("./status.ts"),
  stop: () => import("./stop.ts"),
  restart: () => import("./restart.ts"),
  upgrade: () => import("./upgrade.ts"),
  wait: () => import("./wait.ts"),
  exec: () => import("./exec.ts"),
  shell: () => import("./shell.ts"),
  logs: () => import("./logs.ts"),
  tree: () => import("./tree.ts"),
  support: () => import("./support.ts"),
  env: () => import("./env.ts"),
  idmap: () => import("./idmap.ts"),
  check: () => import("./check.ts"),
  "remap show": () => import("./remap-show.ts"),
  "remap check": () => import("./remap-check.ts"),
  link: () => import("./link.ts"),
  install: () => import("./install.ts"),
  uninstall: () => import("./uninstall.ts"),
  help: () => import("./help.ts"),
  completion: () => import("./completion.ts"),
  "config show": () => import("./config-show.ts"),
  "config schema": () => import("./config-schema.ts"),
  "ports list": () => import("./ports-list.ts"),
  "ports add": () => import("./ports-add.ts"),
  "ports remove": () => import("./ports-remove.ts"),
  "ports drivers": () => import("./ports-drivers.ts"),
};

/** What the commands with a first word in common are about. */
export const groups: Readonly<Record<string, string>> = {
  config: "The configuration file",
  ports: "Published ports of a running instance",
  remap: "userns-remap of a rootful dockerd",
};

/** The names of all commands, in the order of the help: one word each, or two. */
export const commandNames: readonly string[] = Object.keys(loaders);

/** The commands whose first word of two is this one. */
export const commandsOf = (group: string): readonly string[] =>
  commandNames.filter((name) => name.startsWith(`${group} `));

/** Loads the command that an argv begins with, and tells what follows its name; undefined when there is none. */
export async function loadCommand(
  argv: readonly string[],
): Promise<{ command: Command; rest: readonly string[] } | undefined> {
  for (const words of [1, 2]) {
    const name = argv.slice(0, words).join(" ");
    if (!Object.hasOwn(loaders, name)) continue;
    const loaded = await loaders[name]?.();
    return loaded && { command: loaded.command, rest: argv.slice(words) };
  }
  return undefined;
}

/** All commands, in the order of the help. */
export async function loadAllCommands(): Promise<Command[]> {
  return Promise.all(Object.values(loaders).map(async (load) => (await load()).command));
}
