import { RlkitError } from "../errors.ts";
import { currentUser } from "../host/idmap-facts.ts";
import { thisMachine } from "../host/machine.ts";
import type { Layout } from "../install/layout.ts";
import { printUninstalled } from "../install/print.ts";
import { checkUnused, type DockerData, dockerData, isRunning, purge, remaining } from "../install/purge.ts";
import { installedInstances, stopsService, uninstall, uninstallInstance } from "../install/uninstall.ts";
import { instanceName } from "../options/instance-name.ts";
import { printed } from "../output.ts";
import type { Command } from "./command.ts";
import { layoutFor } from "./install.ts";
import { type Parsed, runOptions } from "./options.ts";
import { noWords } from "./parse.ts";
import { nameOption } from "./ports-options.ts";

async function run({ values, command: words }: Parsed): Promise<number> {
  noWords("uninstall", words);
  const isSystem = values["system-wide"] === true;
  const isPurged = values.purge === true;
  if (isSystem && isPurged) {
    throw new RlkitError("USAGE", "--purge is for the data of one user, and --system-wide for all", {
      hint: "run it first as each of them: rlkit uninstall --purge",
    });
  }
  const layout = layoutFor(values, process.env)(undefined);
  const instance = instanceName(values.instance, process.env);
  if (instance !== undefined) return await runForInstance(layout, instance, { isSystem, isPurged });
  const data = isSystem ? [] : [undefined, ...installedInstances(layout)].map(dataOf);
  if (isPurged && !stopsService(layout)) data.forEach(checkUnused);
  const purgeAll = (): void => {
    if (isPurged) for (const each of data) purge(each, thisMachine(process.env));
  };
  const done = await uninstall(layout, process.env, purgeAll);
  printed(done === undefined ? "Nothing is installed.\n" : printUninstalled(done, process.env.HOME ?? ""));
  return printData(data, isPurged);
}

async function runForInstance(
  layout: Layout,
  instance: string,
  { isSystem, isPurged }: Record<"isSystem" | "isPurged", boolean>,
): Promise<number> {
  const done = await uninstallInstance(layout, process.env, instance);
  printed(
    done === undefined ? `No instance ${instance} is installed.\n` : printUninstalled(done, process.env.HOME ?? ""),
  );
  const data = isSystem ? [] : [dataOf(instance)];
  if (isPurged) for (const each of data) purge(each, thisMachine(process.env));
  return printData(data, isPurged, ` --instance=${instance}`);
}

function dataOf(instance: string | undefined): DockerData {
  const { uid, home = "/" } = currentUser();
  const defaults = Object.fromEntries(Object.entries(runOptions).map(([name, option]) => [name, option.default]));
  return dockerData(instance, defaults, process.env, { uid, home: process.env.HOME || home });
}

function printData(data: readonly DockerData[], isPurged: boolean, option = ""): number {
  for (const each of data) {
    if (isPurged) printed(`Images, containers and volumes are gone: ${each.dataRoot}\n`);
    else printRemaining(each, option);
  }
  return 0;
}

function printRemaining(data: DockerData, option: string): void {
  if (isRunning(data))
    printed(`dockerd still runs, as no service of rlkit install's started it; to stop it: rlkit stop${option}\n`);
  if (remaining(data.dataRoot).length === 0) return;
  const line = `rlkit uninstall --purge${option}`;
  printed(`Images, containers and volumes remain in ${data.dataRoot}; to remove them: ${line}\n`);
}

/** `rlkit uninstall`: takes back what `rlkit install` has made. */
export const command: Command = {
  name: "uninstall",
  operands: "",
  describe: "Remove what rlkit install has made; what you changed since stays, and is named",
  options: {
    ...nameOption,
    purge: { type: "boolean", describe: "and all images, containers and volumes" },
    "system-wide": { type: "boolean", describe: "as root: what rlkit install --system-wide has made" },
  },
  optionsAnywhere: true,
  run,
};
