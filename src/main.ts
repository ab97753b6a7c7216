import { loadCommand } from "./cli/commands.ts";
import { NeedsYargs, parseQuickly } from "./cli/parse.ts";
import { report } from "./log.ts";
import { exitNow } from "./native/calls.ts";
import { printed } from "./output.ts";

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === "--version") return printed(`rlkit ${__VERSION__}\n`);
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    return printed(await (await import("./cli/usage.ts")).overview());
  }
  const command = await loadCommand(name);
  if (command === undefined) throw (await import("./cli/usage.ts")).unknownCommand(name);
  try {
    return await command.run(parseQuickly(command.options, rest));
  } catch (error) {
    if (!(error instanceof NeedsYargs)) throw error;
    return printed(await (await import("./cli/usage.ts")).explain(command, rest));
  }
}

// The one error boundary: a known cause becomes one line, anything else is a defect of rlkit and shows its stack. All output
// is written synchronously, so nothing is lost by ending at once.
main(process.argv.slice(2)).then(exitNow, (error: unknown) => exitNow(report(error)));
