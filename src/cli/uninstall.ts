import { RlkitError } from "../errors.ts";
import { currentUser } from "../host/idmap-facts.ts";
import { thisMachine } from "../host/machine.ts";
import { printUninstalled } from "../install/print.ts";
import { checkUnused, type DockerData, dockerData, isRunning, purge, remaining } from "../install/purge.ts";
import { stopsService, uninstall } from "../install/uninstall.ts";
import { printed } from "../output.ts";
import type { Command } from "./command.ts";
import { layoutFor } from "./install.ts";
import { type Parsed, runOptions } from "./options.ts";
import { noWords } from "./parse.ts";

async function run({ values, command: words }: Parsed): Promise<number> {
  noWords("uninstall", words);
  const isSystem = values["system-wide"] === true;
  if (isSystem && values.purge === true) {
    throw new RlkitError("USAGE", "--purge is for the data of one user, and --system-wide for all", {
      hint: "run it first as each of them: rlkit uninstall --purge",
    });
  }
  const layout = layoutFor(values, process.env)(undefined);
  const data = isSystem ? undefined : dataOf();
  const isPurged = values.purge === true && data !== undefined;
  if (isPurged && !stopsService(layout)) checkUnused(data);
  const done = await uninstall(layout, process.env, () => isPurged && purge(data, thisMachine(process.env)));
  printed(done === undefined ? "Nothing is installed.\n" : printUninstalled(done, process.env.HOME ?? ""));
  if (data === undefined) return 0;
  return isPurged ? printed(`Images, containers and volumes are gone: ${data.dataRoot}\n`) : printRemaining(data);
}

function dataOf(): DockerData {
  const { uid, home = "/" } = currentUser();
  const defaults = Object.fromEntries(Object.entries(runOptions).map(([name, option]) => [name, option.default]));
  return dockerData(defaults, process.env, { uid, home: process.env.HOME || home });
}

function printRemaining(data: DockerData): number {
  if (isRunning(data))
    printed("dockerd still runs, as no service of rlkit install's started it; to stop it: rlkit stop\n");
  if (remaining(data.dataRoot).length === 0) return 0;
  return printed(
    `Images, containers and volumes remain in ${data.dataRoot}; to remove them: rlkit uninstall --purge\n`,
  );
}

/** `rlkit uninstall`: takes back what `rlkit install` has made. */
export const command: Command = {
  name: "uninstall",
  operands: "",
  describe: "Remove what rlkit install has made; what you changed since stays, and is named",
  options: {
    purge: { type: "boolean", describe: "and all images, containers and volumes" },
    "system-wide": { type: "boolean", describe: "as root: what rlkit install --system-wide has made" },
  },
  optionsAnywhere: true,
  run,
};
