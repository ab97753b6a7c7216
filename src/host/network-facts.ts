import { closeSync, constants, existsSync, openSync, readFileSync, realpathSync } from "node:fs";
import { machine } from "node:os";
import { capture, startCapture } from "../native/capture.ts";
import { helperDrivers, type NetworkFacts } from "../network/choose.ts";
import type { Helper, HelperDriver, HelperName, NetworkName } from "../network/driver.ts";
import { hasDefaultRoute, routedNetworks } from "../network/routes.ts";
import type { RunOptions } from "../options/run-options.ts";
import { findProgram } from "./programs.ts";

/** Finds a helper on PATH; the function returned reads from its own --help which of the driver's options it has. */
function probe(driver: HelperDriver, name: string, path: string): () => Helper | undefined {
  const program = findProgram(name, [path, ...(driver.directories ?? [])].join(":"));
  if (program === undefined) return () => undefined;
  if (driver.probes.length === 0) return () => ({ path: program, features: new Set() });
  const help = startCapture(program, ["--help"], [`PATH=${path}`]);
  const known = (output: string): Set<string> =>
    new Set(driver.probes.filter((option) => output.includes(option) && !(option === SANDBOX && isOutside())));
  return () => {
    const features = known(help().output);
    if (driver.required.every((option) => features.has(option))) return { path: program, features };
    // pasta of 2025 loses the end of its help when that is no terminal's; after a mistake it writes all of it, unbuffered.
    return { path: program, features: known(capture(program, ["--no-such-option"], [`PATH=${path}`]).output) };
  };
}

const SANDBOX = "--enable-sandbox";

/**
 * Whether /etc/resolv.conf is a link to where slirp4netns does not see it in its sandbox, which has nothing but /etc and /run: then
 * it would answer no question for names.
 */
function isOutside(): boolean {
  try {
    return !/^\/(etc|run)\//.test(realpathSync("/etc/resolv.conf"));
  } catch {
    return false; // there is none, in its sandbox or outside
  }
}

function tunProblem(): string | undefined {
  try {
    closeSync(openSync("/dev/net/tun", constants.O_RDWR));
    return undefined;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT") return "there is no /dev/net/tun on this machine";
    if (code === "EACCES" || code === "EPERM") return "/dev/net/tun can't be opened by this user";
    return `/dev/net/tun can't be opened (${code})`;
  }
}

/** The helpers that may come to be used; where others can't be, pasta or slirp4netns takes their place. */
function helpersFor(name: NetworkName): readonly HelperName[] {
  if (name === "pasta" || name === "slirp4netns") return [name];
  return name in helperDrivers ? [name as HelperName, "pasta", "slirp4netns"] : ["pasta", "slirp4netns"];
}

/** Where distributions have it; none has it on PATH. */
const lxcUserNics = ["/usr/libexec/lxc", `/usr/lib/${machine()}-linux-gnu/lxc`, "/usr/lib/lxc"];

function lxcUserNic({
  programs,
  bridge = "lxcbr0",
}: Pick<RunOptions["network"], "programs"> & { bridge?: string }): NonNullable<NetworkFacts["lxcUserNic"]> {
  return {
    path: findProgram(programs?.["lxc-user-nic"] ?? "lxc-user-nic", lxcUserNics.join(":")),
    hasBridge: existsSync(`/proc/sys/net/ipv4/conf/${bridge}`), // unlike /sys, that of this network namespace
  };
}

/**
 * What this host offers for the network that is asked for; helpers that don't matter for it are not looked at. They are
 * started by this call and asked for their answers by the function that it returns: 2 ms in which others can be gathered.
 */
export function startNetworkFacts(
  options: Pick<RunOptions["network"], "name" | "programs"> & { bridge?: string },
  path: string,
): () => NetworkFacts {
  const { name, programs = {} } = options;
  if (name === "host" || name === "none") return () => ({ tunProblem: undefined, defaultRoute: false });
  const probes = helpersFor(name).map((helper) => {
    const driver = helperDrivers[helper];
    return [helper, probe(driver, programs[helper] ?? driver.program, path)] as const;
  });
  const routes = readFileSync("/proc/net/route", "latin1");
  return () => ({
    ...Object.fromEntries(probes.map(([helper, find]) => [helper, find()])),
    ...(name === "lxc-user-nic" && { lxcUserNic: lxcUserNic(options) }),
    pesto: findProgram(programs.pesto ?? "pesto", path),
    tunProblem: tunProblem(),
    defaultRoute: hasDefaultRoute(routes),
    routed: routedNetworks(routes),
  });
}
