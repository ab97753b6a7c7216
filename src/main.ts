import { basename } from "node:path";
import { optionsFirst } from "./cli/command.ts";
import { commandsOf, loadCommand } from "./cli/commands.ts";
import { NeedsYargs, parseQuickly } from "./cli/parse.ts";
import { report } from "./log.ts";
import { exitNow } from "./native/calls.ts";
import { printed } from "./output.ts";

const isHelp = (word: string | undefined): boolean => word === undefined || ["--help", "-h", "help"].includes(word);

/** What rlkit does under another program's name. */
const personalities: Readonly<Record<string, (argv: readonly string[], name: string) => Promise<number>>> = {
  rootlesskit: async (argv) => (await import("./rootlesskit/rootlesskit.ts")).rootlesskit(argv, process.env),
  "dockerd-rootless.sh": async (argv) =>
    (await import("./rootlesskit/dockerd-rootless.ts")).dockerdRootless(argv, process.env),
  "dockerd-rootless-setuptool.sh": async (argv, name) =>
    (await import("./rootlesskit/setuptool.ts")).setuptool(name, argv, process.env),
  "containerd-rootless.sh": async (argv) =>
    (await import("./rootlesskit/containerd-rootless.ts")).containerdRootless(argv, process.env),
  rootlessctl: async (argv) => (await import("./rootlesskit/rootlessctl.ts")).rootlessctl(argv, process.env),
};

async function rlkit(argv: readonly string[]): Promise<number> {
  const [name, second] = argv;
  if (name === "--version") return printed(`rlkit ${__VERSION__}\n`);
  const found = await loadCommand(argv);
  if (found === undefined) {
    const usage = await import("./cli/usage.ts");
    if (isHelp(name)) return printed(await usage.overview());
    if (isHelp(second) && commandsOf(name ?? "").length > 0) return printed(await usage.overview(name));
    throw usage.unknownCommand(argv);
  }
  const { command, rest } = found;
  const words = command.optionsAnywhere ? optionsFirst(command.options, rest) : rest;
  try {
    return await command.run(parseQuickly(command.options, words));
  } catch (error) {
    if (!(error instanceof NeedsYargs)) throw error;
    return printed(await (await import("./cli/usage.ts")).explain(command, words));
  }
}

// The one error boundary: a known cause becomes one line, anything else is a defect of rlkit and shows its stack. All output
// is written synchronously, so nothing is lost by ending at once.
const [, , calledAs = "", ...argv] = process.argv;
(personalities[basename(calledAs)] ?? rlkit)(argv, calledAs).then(exitNow, (error: unknown) => exitNow(report(error)));
