import { existsSync, readFileSync } from "node:fs";
import { normalize } from "node:path";
import { RlkitError } from "../errors.ts";
import { findProgram } from "../host/programs.ts";
import { parsePortSpec } from "../ports/spec.ts";
import { type GoArguments, quoted } from "./go-flags.ts";

const MAX_MTU = 65521;

/** An error whose whole text is RootlessKit's. */
export const refusal = (text: string): RlkitError => new RlkitError("USAGE", text, { exitStatus: 1 });

const modes = ["auto", "true", "false", ""];
const networks = ["host", "none", "pasta", "slirp4netns", "vpnkit", "lxc-user-nic", "gvisor-tap-vsock"];
const portDrivers = ["none", "implicit", "builtin", "slirp4netns", "gvisor-tap-vsock", "pesto"];

/**
 * RootlessKit's own checks of its command line, in its order: which of several mistakes is told matters to scripts. Warns of what it
 * warns of, and throws with its words. Whatever only rlkit can do (builtin ports with pasta) passes.
 */
export function validate(args: GoArguments, warn: (text: string) => void): void {
  if (args.words.length === 0) throw refusal("no command specified");
  checkEvacuation(args);
  const net = args.text("net");
  const mtu = args.number("mtu");
  if (mtu < 0 || mtu > MAX_MTU) throw refusal(`mtu must be <= ${MAX_MTU}, got ${mtu}`);
  checkCidr(args.text("cidr"));
  if (args.text("ifname").includes("/")) throw refusal('ifname must not contain "/"');
  if (args.is("ipv6")) {
    warn("ipv6 is experimental");
    if (net !== "pasta" && net !== "slirp4netns") warn(`--ipv6 is discarded for --net=${net}`);
  }
  if (net !== "host" && net !== "none" && !args.is("disable-host-loopback")) {
    warn(
      "specifying --disable-host-loopback is highly recommended to prohibit connecting to 127.0.0.1:* on the host namespace (requires pasta, slirp4netns, or VPNKit)",
    );
  }
  checkNetwork(args, net, warn);
  checkPorts(args, net);
  for (const spec of args.list("publish")) parsePortSpec(spec);
  checkPropagation(args.text("propagation"), warn);
  checkProcess(args);
  checkInside(args, warn);
}

/** A program that an option names, as Go's exec.LookPath finds it. */
function checkProgram(name: string): void {
  if (findProgram(name, process.env.PATH ?? "") !== undefined) return;
  const why = name.includes("/") ? `stat ${name}: no such file or directory` : "executable file not found in $PATH";
  throw refusal(`exec: ${quoted(name)}: ${why}`);
}

function checkEvacuation(args: GoArguments): void {
  const group = args.text("evacuate-cgroup2");
  if (group === "") return;
  if (!args.is("cgroupns")) throw refusal("evacuate-cgroup2 requires --cgroupns");
  if (!args.is("pidns")) throw refusal("evacuate-cgroup2 requires --pidns");
  if (group.includes("/")) throw refusal(`unexpected evacuation group name ${quoted(group)}: must not contain "/"`);
}

function checkCidr(text: string): void {
  if (text === "") return;
  const [, address = "", prefix] = /^([0-9.]+)\/(\d{1,2})$/.exec(text) ?? [];
  const bytes = address.split(".").map(Number);
  if (prefix === undefined || Number(prefix) > 32 || bytes.length !== 4 || bytes.some((byte) => byte > 255)) {
    throw refusal(`invalid CIDR address: ${text}`);
  }
  const number = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  const network = number - (number % 2 ** (32 - Number(prefix)));
  if (network === number) return;
  const shown = [24, 16, 8, 0].map((shift) => (network / 2 ** shift) & 255).join(".");
  throw refusal(`cidr must be like ${shown}/${prefix}, not like ${text}`);
}

function checkNetwork(args: GoArguments, net: string, warn: (text: string) => void): void {
  if (!networks.includes(net)) throw refusal(`unknown network mode: ${net}`);
  if (args.text("cidr") !== "" && !["pasta", "slirp4netns", "gvisor-tap-vsock"].includes(net)) {
    throw refusal(`custom cidr is not supported for --net=${net}`);
  }
  if (args.text("ifname") !== "" && (net === "host" || net === "none")) {
    throw refusal(`ifname cannot be specified for --net=${net}`);
  }
  if (net === "gvisor-tap-vsock" && args.is("ipv6")) throw refusal("--ipv6 is not supported for gvisor-tap-vsock");
  const mtu = args.number("mtu");
  if (net === "host" && mtu > 0) warn(`unsupported mtu for --net=host: ${mtu}`);
  if (net === "vpnkit" && mtu > 0 && mtu !== 1500) {
    warn(
      `vpnkit is known to have issues with non-1500 MTU (current: ${mtu}), see https://github.com/rootless-containers/rootlesskit/issues/6#issuecomment-403531453`,
    );
  }
  if (net === "pasta") checkProgram(args.text("pasta-binary"));
  if (net !== "slirp4netns") return;
  for (const name of ["slirp4netns-sandbox", "slirp4netns-seccomp"]) {
    if (!modes.includes(args.text(name))) throw refusal(`unsupported ${name} mode: ${quoted(args.text(name))}`);
  }
  if (args.text("slirp4netns-sandbox") === "true" && args.is("detach-netns")) {
    throw refusal("--slirp4netns-sandbox=true conflicts with --detach-netns");
  }
  checkProgram(args.text("slirp4netns-binary"));
}

function checkPorts(args: GoArguments, net: string): void {
  const driver = args.text("port-driver");
  if (driver === "pasta") throw refusal('unknown port driver: pasta (did you mean "pesto"?)');
  if (!portDrivers.includes(driver)) throw refusal(`unknown port driver: ${driver}`);
  if (driver === "none" && args.list("publish").length > 0) {
    throw refusal('port driver "none" does not support publishing ports');
  }
  if (net === "host" && (driver === "builtin" || driver === "gvisor-tap-vsock")) {
    throw refusal("port driver requires non-host network");
  }
  if (driver === "slirp4netns" && net !== "slirp4netns") throw refusal("port driver requires slirp4netns network");
  if ((driver === "implicit" || driver === "pesto") && net !== "pasta")
    throw refusal("port driver requires pasta network");
  if (driver === "gvisor-tap-vsock" && net !== driver) throw refusal("port driver requires gvisor-tap-vsock network");
}

/** What RootlessKit finds out inside, when the network is up already. */
function checkProcess(args: GoArguments): void {
  const source = args.text("subid-source");
  if (!["auto", "dynamic", "static"].includes(source)) {
    throw refusal(`failed to setup UID/GID map: failed to compute uid/gid map: unknown subid source ${quoted(source)}`);
  }
  const mode = args.text("copy-up-mode");
  if (mode !== "tmpfs+symlink") throw new InsideError(`unknown copy-up mode: ${mode}`);
  const propagation = args.text("propagation");
  if (/^r?shared$/.test(propagation) && args.list("copy-up").length > 0) {
    throw new InsideError(`propagation ${propagation} does not support copy-up driver tmpfs+symlink`);
  }
  const reaper = args.text("reaper");
  if (!["auto", "true", "false"].includes(reaper)) throw new InsideError(`unknown reaper mode: ${reaper}`);
  if (reaper === "true" && !args.is("pidns")) throw new InsideError("reaper requires --pidns");
}

function checkPropagation(propagation: string, warn: (text: string) => void): void {
  if (/^r?private$/.test(propagation) || isRootShared()) return;
  warn(
    `The host root filesystem is mounted as "". Setting child propagation to ${quoted(propagation)} is not supported.`,
  );
}

/** What comes up when directories are copied up, and the command is looked for. */
function checkInside(args: GoArguments, warn: (text: string) => void): void {
  const [program] = args.words;
  if (program === "") throw new InsideError("command [] exited: exec: no command");
  const copied = args.list("copy-up").map((directory) => normalize(directory));
  for (const directory of copied) {
    if (directory === "/tmp") throw new InsideError("/tmp cannot be copied up");
    if (!existsSync(directory)) {
      throw new InsideError(`failed to create bind mount on ${directory}: no such file or directory`);
    }
  }
  const net = args.text("net");
  if (net !== "host" && net !== "none" && !args.is("detach-netns") && !copied.includes("/etc")) {
    warn(
      "Mounting /etc/resolv.conf without copying-up /etc. Note that /etc/resolv.conf in the namespace will be unmounted when it is recreated on the host. Unless /etc/resolv.conf is statically configured, copying-up /etc is highly recommended. Please refer to RootlessKit documentation for further information.",
    );
  }
}

/** Whether mounts of the host can reach a slave of / (proc_pid_mountinfo(5)). */
const isRootShared = (): boolean => / \/ \/ .*shared:/.test(readFileSync("/proc/self/mountinfo", "utf8"));

/** Of what RootlessKit's child complains: told in two lines. */
export class InsideError extends RlkitError {
  constructor(text: string) {
    super("USAGE", text, { exitStatus: 1 });
  }
}
