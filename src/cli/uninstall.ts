import { RlkitError } from "../errors.ts";
import { currentUser } from "../host/idmap-facts.ts";
import { thisMachine } from "../host/machine.ts";
import type { Layout } from "../install/layout.ts";
import { fold, printUninstalled } from "../install/print.ts";
import {
  checkUnused,
  type DockerData,
  dockerData,
  instancesWithData,
  isRunning,
  purge,
  remaining,
} from "../install/purge.ts";
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
  const installed = installedInstances(layout);
  const data = isSystem ? [] : [undefined, ...installed].map(dataOf);
  if (isPurged && !stopsService(layout)) data.forEach(checkUnused);
  const withData = data.filter(hasData);
  const done = await uninstall(layout, process.env, () => {
    if (isPurged) for (const each of data) purge(each, thisMachine(process.env));
  });
  printed(done === undefined ? "Nothing is installed.\n" : printUninstalled(done, process.env.HOME ?? ""));
  const others = data
    .slice(0, 1)
    .flatMap(instancesWithData)
    .filter((name) => !installed.includes(name));
  if (isPurged) printGone(withData);
  printRemaining([...(isPurged ? [] : data), ...others.map(dataOf)]);
  return 0;
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
  if (isSystem) return 0;
  const data = dataOf(instance);
  const withData = [data].filter(hasData);
  if (isPurged) {
    purge(data, thisMachine(process.env));
    printGone(withData);
  } else printRemaining([data]);
  return 0;
}

function dataOf(instance: string | undefined): DockerData {
  const { uid, home = "/" } = currentUser();
  const defaults = Object.fromEntries(Object.entries(runOptions).map(([name, option]) => [name, option.default]));
  return dockerData(instance, defaults, process.env, { uid, home: process.env.HOME || home });
}

const sentence = (text: string): number => printed(fold(text, "  "));

const hasData = ({ dataRoot }: DockerData): boolean => remaining(dataRoot).length > 0;

function printGone(data: readonly DockerData[]): void {
  for (const { dataRoot } of data) sentence(`Images, containers and volumes are gone: ${dataRoot}`);
}

function printRemaining(data: readonly DockerData[]): void {
  for (const each of data) {
    const option = each.instance === undefined ? "" : ` --instance=${each.instance}`;
    if (isRunning(each)) {
      sentence(`dockerd still runs, as no service of rlkit install's started it; to stop it: rlkit stop${option}`);
    }
    if (!hasData(each)) continue;
    const line = `rlkit uninstall --purge${option}`;
    sentence(`Images, containers and volumes remain in ${each.dataRoot}; to remove them: ${line}`);
  }
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
