/** How the service is to run, whatever starts it. */
export interface Service {
  /** rlkit's path. */
  rlkit: string;
  /** dockerd's own arguments. */
  dockerdArgs: readonly string[];
  /** PATH, and what else rlkit needs to be told. */
  env: Readonly<Record<string, string>>;
  /** systemd listens on docker.sock, and starts the service when somebody calls. */
  socket: boolean;
}

const HEADER = "# Written by rlkit install. rlkit uninstall removes it, unless you change it;";

/** The words of the command that runs the daemon; rlkit's own options come before dockerd. */
export function serviceCommand({ rlkit, dockerdArgs, socket }: Service, options: readonly string[] = []): string[] {
  return [rlkit, "run", ...options, "--", "dockerd", ...(socket ? ["--host=fd://"] : []), ...dockerdArgs];
}

/** A word of a systemd command line (systemd.service(5), "Command lines"). */
export function unitWord(word: string): string {
  return quoted(
    word
      .replaceAll("\\", "\\\\")
      .replaceAll('"', '\\"')
      .replaceAll("%", "%%")
      .replaceAll("$", () => "$$"),
  );
}

/** An assignment for `Environment=`, in which $ stands for itself. */
export function unitAssignment(name: string, value: string): string {
  return quoted(`${name}=${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%")}`);
}

const quoted = (text: string): string => (/^[^\s;'"\\]+$/.test(text) ? text : `"${text}"`);

/**
 * docker.service for a user's service manager.
 *
 * Of systemd's sandbox, a user's unit that makes user namespaces can have nothing: each of ProtectSystem=, RestrictNamespaces=,
 * SystemCallFilter= and so on either is a namespace itself, in which newuidmap may no longer write, or sets no_new_privs, which takes
 * its set-user-id bit away. What is inside is confined by the namespaces that rlkit makes. So this is what is left: nothing from the
 * user's environment is loaded into the programs, files are the user's own, one container out of memory is not the end of the
 * others, and a mistake in the configuration is not tried again and again.
 */
export function dockerService(service: Service): string {
  return unit(service, { name: "docker.service", about: "rootless", words: serviceCommand(service).map(unitWord) });
}

/** rlkit@.service: an instance of its own, whose name stands behind the @ (systemd.unit(5), %i). */
export function instanceService(service: Service): string {
  const [rlkit = "", run = "", ...words] = serviceCommand({ ...service, socket: false }).map(unitWord);
  const about = "rootless, instance %i";
  return unit(
    { ...service, socket: false },
    { name: "rlkit@NAME.service", about, words: [rlkit, run, "--instance=%i", ...words] },
  );
}

function unit(
  service: Service,
  { name, about, words }: { name: string; about: string; words: readonly string[] },
): string {
  return `${HEADER}
# changes of your own are better made with: systemctl --user edit ${name}
[Unit]
Description=Docker (${about}, run by rlkit)
Documentation=https://docs.docker.com/go/rootless/
StartLimitIntervalSec=60
StartLimitBurst=3
${service.socket ? "Requires=docker.socket\nAfter=docker.socket\n" : ""}
[Service]
Type=notify
NotifyAccess=main
${Object.entries(service.env)
  .map(([variable, value]) => `Environment=${unitAssignment(variable, value)}\n`)
  .join("")}UnsetEnvironment=LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT NODE_OPTIONS
ExecStart=${words.join(" ")}
ExecReload=/bin/kill -s HUP $MAINPID
WatchdogSec=60
TimeoutStartSec=120
TimeoutStopSec=60
Restart=on-failure
RestartSec=2
RestartPreventExitStatus=2
KillMode=mixed
Delegate=yes
OOMPolicy=continue
UMask=0022
LimitNOFILE=infinity
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity

[Install]
WantedBy=default.target
`;
}

/** docker.socket, which has the daemon started by its first client. */
export function dockerSocket(): string {
  return `${HEADER}
# changes of your own are better made with: systemctl --user edit docker.socket
[Unit]
Description=Docker's API (rootless)

[Socket]
ListenStream=%t/docker.sock
SocketMode=0600
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`;
}
