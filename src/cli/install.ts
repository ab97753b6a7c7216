import { constants } from "node:os";
import { join, resolve } from "node:path";
import { RlkitError } from "../errors.ts";
import { currentUser } from "../host/idmap-facts.ts";
import { type Machine, thisMachine } from "../host/machine.ts";
import { checkSession, findInit, type Init, namedUser } from "../install/facts.ts";
import { foreseeInstall, type Installed, type InstallRequest, install } from "../install/install.ts";
import type { Settings } from "../install/journal.ts";
import { type Layout, systemLayout, userLayout } from "../install/layout.ts";
import { look } from "../install/look.ts";
import { printInstalled, printPlan } from "../install/print.ts";
import { createProgress } from "../install/progress.ts";
import { instanceName } from "../options/instance-name.ts";
import { printed } from "../output.ts";
import type { Command } from "./command.ts";
import type { Parsed } from "./options.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Where things lie, for the user or for an administrator; throws where the one is asked for as the other. */
export function layoutFor(values: Parsed["values"], env: Machine["env"]): (bin: string | undefined) => Layout {
  const isSystem = values["system-wide"] === true;
  const { uid, home } = currentUser();
  if (isSystem && uid !== 0) {
    throw new RlkitError("USAGE", "--system-wide is for root", {
      hint: "run it with sudo, or without --system-wide for yourself",
    });
  }
  if (!isSystem && uid === 0) {
    throw new RlkitError("USAGE", "this is for ordinary users, and root needs no rootless daemon", {
      hint: "run it as the user whom the containers are for, or for such a user: --system-wide --user NAME",
    });
  }
  return (bin) => (isSystem ? systemLayout(bin) : userLayout({ home: env.HOME || home || "/", env, bin }));
}

function requestOf({ values, command }: Parsed, env: Machine["env"], signal: AbortSignal): InstallRequest {
  const machine = thisMachine(env);
  const layout = layoutFor(values, env);
  const name = values.user as string | undefined;
  const isSystem = values["system-wide"] === true;
  if (isSystem !== (name !== undefined)) {
    throw new RlkitError("USAGE", "--system-wide and --user go together", {
      hint: "rlkit install --system-wide --user NAME",
    });
  }
  const settings = settingsOf(values, command, machine, isSystem);
  if (settings.socket && settings.init !== "systemd") {
    throw new RlkitError("USAGE", "--socket needs systemd, which listens in the daemon's place", {
      hint: "leave --socket away",
    });
  }
  if (settings.instances !== undefined && settings.init !== "systemd") {
    throw new RlkitError("USAGE", "--instance needs systemd, for which an instance is a unit of its own", {
      hint: `start it with: rlkit run --wait --instance=${settings.instances[0]} -- dockerd`,
    });
  }
  return {
    source: {
      from: (values.from as string[] | undefined) ?? [],
      version: values.version as string | undefined,
      channel: values.channel as string | undefined,
      mirror: String(values.mirror),
      sha256: (values.sha256 as string[] | undefined) ?? [],
    },
    settings,
    force: values.force === true,
    user: name === undefined ? undefined : namedUser(machine, name),
    layout,
    env,
    signal,
  };
}

/** Only what was said: the rest is as it was at the last installation. */
function settingsOf(values: Parsed["values"], words: readonly string[], machine: Machine, isSystem: boolean): Settings {
  const text = (name: string): string | undefined => values[name] as string | undefined;
  const init = text("init") as Init | "auto";
  if (init === "systemd" && !isSystem) checkSession(machine);
  const [bin, profile] = [text("bin-dir"), text("shell-profile")];
  const socket = values.socket as boolean | undefined;
  const context = values.context as boolean | undefined;
  const instance = instanceName(values.instance, process.env);
  return {
    init: init === "auto" ? findInit(machine, isSystem ? "system" : "user") : init,
    ...(bin !== undefined && { bin: resolve(bin) }),
    ...(profile !== undefined && { shellProfile: resolve(profile) }),
    ...(socket !== undefined && { socket }),
    ...(context !== undefined && { context }),
    ...(words.length > 0 && { dockerdArgs: words }),
    ...(instance !== undefined && { instances: [instance] }),
  };
}

async function run(parsed: Parsed): Promise<number> {
  const { values } = parsed;
  const abort = new AbortController();
  for (const name of SIGNALS) process.once(name, () => abort.abort(constants.signals[name]));
  const request = requestOf(parsed, process.env, abort.signal);
  if (values["dry-run"] === true) {
    const { plan, entries } = await foreseeInstall(request);
    return printed(
      printPlan(plan, (step) => (step.do === "file" || step.do === "link" ? look(step, entries) : undefined)),
    );
  }
  const installed = await install(request, await createProgress());
  const home = process.env.HOME ?? "";
  if (values.now !== true) return printed(printInstalled(installed, home));
  printed(printInstalled({ ...installed, plan: { ...installed.plan, start: undefined } }, home));
  return start(installed, thisMachine(process.env));
}

/** What is installed stays so, whether the daemon starts or not. */
function start({ plan, layout }: Installed, machine: Machine): number {
  if (plan.start === undefined) {
    throw new RlkitError("INSTALL", "installed; --now can start it only where systemd or OpenRC runs", {
      hint: "start it with: rlkit run --wait -- dockerd",
    });
  }
  const { status, output } = machine.run(plan.start);
  if (status === 0) return printed(`Started: ${plan.start.join(" ")}\n`);
  const log = "journalctl --user --unit=docker.service --lines=30";
  throw new RlkitError(
    "INSTALL",
    `installed, but "${plan.start.join(" ")}" failed: ${output.trim().split("\n")[0] ?? status}`,
    {
      hint: `look at: ${log}; or start it here, to see what it says: ${join(layout.bin, "rlkit")} run -- dockerd`,
    },
  );
}

const source = { group: "Source:" };
const service = { group: "Service:" };
const admin = { group: "For administrators:" };

/** `rlkit install`: Docker's programs, the service, and what makes clients find it. */
export const command: Command = {
  name: "install",
  operands: "[-- DOCKERD-ARG…]",
  describe: "Install Docker for yourself, with a service that rlkit runs",
  options: {
    from: {
      type: "array",
      describe: "tarball (file or URL; repeat for the rootless extras), or a directory with tarballs or programs",
      ...source,
    },
    version: { type: "string", describe: "download this version, or choose it in --from's directory", ...source },
    channel: {
      type: "string",
      choices: ["stable", "test"],
      describe: "download from this channel (its newest)",
      ...source,
    },
    mirror: { type: "string", default: "https://download.docker.com", describe: "where to download from", ...source },
    sha256: {
      type: "array",
      describe: "what the checksum of each tarball must be, in their order (repeat)",
      ...source,
    },
    "bin-dir": { type: "string", describe: "directory for links to the programs (~/bin)" },
    init: {
      type: "string",
      choices: ["auto", "systemd", "openrc", "runit", "s6", "none"],
      default: "auto",
      describe: "what the service is for",
      ...service,
    },
    socket: { type: "boolean", describe: "start the daemon when a client first calls", ...service },
    instance: { type: "string", describe: "and an instance of that name beside it (RLKIT_INSTANCE)", ...service },
    now: { type: "boolean", describe: "start the daemon as well", ...service },
    context: { type: "boolean", describe: "the docker client's context (true)" },
    "shell-profile": { type: "string", describe: "write the lines for the shell into this file, too" },
    force: { type: "boolean", describe: "move aside what is in the way; uninstall puts it back" },
    "dry-run": { type: "boolean", describe: "print all that would be made, and write nothing" },
    "system-wide": { type: "boolean", describe: "as root: for the user that --user names", ...admin },
    user: { type: "string", describe: "whose daemon it is to be", ...admin },
  },
  run,
};
