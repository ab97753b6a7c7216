import { join } from "node:path";
import type { InstallFacts } from "./facts.ts";
import { openrcScript, runitFiles, type ServiceUser, s6Files } from "./init-scripts.ts";
import type { Layout } from "./layout.ts";
import type { Step } from "./step.ts";
import { dockerService, dockerSocket, instanceService, type Service } from "./unit.ts";

/** What makes the service, and how it is started; undefined where the user has to do that by hand. */
interface ServiceSteps {
  steps: readonly Step[];
  notes: readonly string[];
  start: readonly string[] | undefined;
}

/** The steps for the init of the machine. */
export function serviceSteps(
  layout: Layout,
  facts: InstallFacts,
  service: Service,
  instances: readonly string[],
): ServiceSteps {
  switch (facts.init) {
    case "systemd":
      return systemdSteps(layout, facts, service, instances);
    case "openrc":
      return openrcSteps(layout, facts, service);
    case "runit":
    case "s6":
      return superviseSteps(facts.init, layout, facts, service);
    case "none":
      return {
        steps: [],
        notes: ["no service is made; start the daemon with: rlkit run --wait -- dockerd"],
        start: undefined,
      };
  }
}

function systemdSteps(
  { scope, units }: Layout,
  { user, lingers }: InstallFacts,
  service: Service,
  instances: readonly string[],
): ServiceSteps {
  const isSystem = scope === "system";
  const systemctl = [...(isSystem ? asUser(user) : []), "systemctl", "--user"];
  const unit = (name: string, content: string, why: string): Step & { do: "file" } => ({
    do: "file",
    path: join(units, name),
    content,
    mode: 0o644,
    why,
    afterwards: [...systemctl, "daemon-reload"],
  });
  const enable = (name: string, others: readonly string[] = []): Step => ({
    do: "command",
    what: isSystem ? `${name}, enabled for ${user.name}` : `${name}, enabled`,
    argv: [...systemctl, "enable", name],
    unless: { argv: [...systemctl, "is-enabled", name], prints: "enabled" },
    undo: [...systemctl, "disable", "--now", ...new Set([name, ...others])],
    why: "it starts with the user's session",
  });
  const enabled = service.socket ? "docker.socket" : "docker.service";
  const logout = `the daemon ends when ${user.name} logs out; to have it start with the machine: sudo loginctl enable-linger ${user.name}`;
  return {
    steps: [
      ...(isSystem ? lingerSteps(user) : []),
      unit("docker.service", dockerService(service), "the service of the user's systemd"),
      {
        ...unit("rlkit@.service", instanceService(service), "for instances of their own, rlkit@NAME"),
        // Instances that somebody has started or enabled by hand end with it.
        endings: [
          [...systemctl, "stop", "rlkit@*.service"],
          [...systemctl, "disable", "rlkit@.service"],
        ],
      },
      ...(service.socket ? [unit("docker.socket", dockerSocket(), "it starts the daemon at the first call")] : []),
      ...(isSystem ? [] : [wantsDirectory(units, service)]),
      enable(enabled, ["docker.service"]),
      ...instances.map((instance) => ({ ...enable(`rlkit@${instance}.service`), instance })),
    ],
    notes: lingers || isSystem ? [] : [logout],
    start: [...systemctl, "start", enabled, ...instances.map((instance) => `rlkit@${instance}.service`)],
  };
}

/** An administrator speaks with the user's service manager as the user. */
const asUser = ({ name, uid, home }: ServiceUser): string[] => [
  "runuser",
  "-u",
  name,
  "--",
  "env",
  `HOME=${home}`,
  `XDG_RUNTIME_DIR=/run/user/${uid}`,
];

function lingerSteps({ name, uid }: ServiceUser): Step[] {
  return [
    {
      do: "command",
      what: `lingering of ${name}`,
      argv: ["loginctl", "enable-linger", name],
      unless: { argv: ["test", "-e", `/var/lib/systemd/linger/${name}`] },
      undo: ["loginctl", "disable-linger", name],
      why: "the user's services start with the machine, and go on without a login",
    },
    {
      do: "command",
      what: `the service manager of ${name}`,
      argv: ["systemctl", "start", `user@${uid}.service`],
      unless: { argv: ["systemctl", "is-active", "--quiet", `user@${uid}.service`] },
      why: "lingering starts it without waiting for it",
    },
  ];
}

const wantsDirectory = (units: string, { socket }: Service): Step => ({
  do: "directory",
  path: join(units, `${socket ? "sockets" : "default"}.target.wants`),
  mode: 0o755,
  why: "what is enabled has a link in it",
});

function openrcSteps({ scope }: Layout, { user }: InstallFacts, service: Service): ServiceSteps {
  const isSystem = scope === "system";
  const name = isSystem ? `docker-${user.name}` : "docker";
  const path = isSystem ? `/etc/init.d/${name}` : join(user.home, ".config", "rc", "init.d", name);
  const own = isSystem ? "" : "--user ";
  const logs = isSystem ? "/var/log" : join(user.home, ".local", "state");
  const log = join(logs, `${name}.log`);
  const content = openrcScript(service, log, isSystem ? user : undefined);
  const endings = [
    ["rc-service", ...(isSystem ? [] : ["--user"]), name, "stop"],
    ["rc-update", ...(isSystem ? [] : ["--user"]), "delete", name],
  ];
  const older =
    "services of a user need OpenRC 0.60; with an older one, as root: rlkit install --system-wide --user NAME";
  return {
    steps: [
      { do: "directory", path: logs, mode: 0o700, why: "for the service's log" },
      { do: "leavings", path: log, why: "what the service writes" },
      { do: "file", path, content, mode: 0o755, why: "the service of OpenRC", endings },
    ],
    notes: [
      `to have it start: rc-update ${own}add ${name} default; now: rc-service ${own}${name} start`,
      ...(isSystem ? [] : [older]),
    ],
    start: ["rc-service", ...(isSystem ? [] : ["--user"]), name, "start"],
  };
}

/** How a service and its supervisor are ended, and what the supervisor makes in the service directory. */
const supervisors = {
  runit: { end: ["sv", "-w", "60", "exit"], leaves: ["supervise"] },
  s6: { end: ["s6-svc", "-wD", "-T", "60000", "-dx"], leaves: ["supervise", "event"] },
} as const;

function superviseSteps(
  init: "runit" | "s6",
  { scope }: Layout,
  { user }: InstallFacts,
  service: Service,
): ServiceSteps {
  const isSystem = scope === "system";
  const base = isSystem ? (init === "runit" ? "/etc/sv" : "/etc/s6/sv") : join(user.home, ".config", init, "sv");
  const directory = join(base, isSystem ? `docker-${user.name}` : "docker");
  const files = (init === "runit" ? runitFiles : s6Files)(directory, service, isSystem ? user : undefined);
  const own = init === "runit" ? "the directory that your runsvdir looks at" : "the scan directory of your s6-svscan";
  const scan = isSystem && init === "runit" ? "/var/service" : own;
  const { end, leaves } = supervisors[init];
  const leavings = leaves.map(
    (name): Step => ({
      do: "leavings",
      path: join(directory, name),
      why: `${init} keeps the state of the service in it`,
    }),
  );
  // The service ends while there is still the file that says how it is run.
  const [run, ...others] = files.map((file): Step & { do: "file" } => ({
    do: "file",
    ...file,
    why: `the service directory of ${init}`,
  }));
  return {
    steps: [...leavings, ...(run === undefined ? [] : [{ ...run, endings: [[...end, directory]] }]), ...others],
    notes: [`to have it run, put a link to ${directory} into ${scan}`],
    start: undefined,
  };
}
