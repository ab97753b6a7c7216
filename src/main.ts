import { loadCommand } from "./cli/commands.ts";
import { NeedsYargs, parseQuickly } from "./cli/parse.ts";
import { report } from "./log.ts";

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === "--version") return print(`rlkit ${__VERSION__}\n`);
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    return print(await (await import("./cli/usage.ts")).overview());
  }
  const command = await loadCommand(name);
  if (command === undefined) throw (await import("./cli/usage.ts")).unknownCommand(name);
  try {
    return await command.run(parseQuickly(command.options, rest));
  } catch (error) {
    if (!(error instanceof NeedsYargs)) throw error;
    return print(await (await import("./cli/usage.ts")).explain(command, rest));
  }
}

function print(text: string): number {
  process.stdout.write(text);
  return 0;
}

// The one error boundary: a known cause becomes one line, anything else is a defect of rlkit and shows its stack.
main(process.argv.slice(2)).then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    process.exitCode = report(error);
  },
);
