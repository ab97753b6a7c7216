import { closeSync, constants, openSync, readFileSync, realpathSync } from "node:fs";
import { capture, startCapture } from "../native/capture.ts";
import type { NetworkFacts } from "../network/choose.ts";
import type { Helper, HelperDriver } from "../network/driver.ts";
import { routedNetworks } from "../network/free-cidr.ts";
import { pasta } from "../network/pasta.ts";
import { slirp4netns } from "../network/slirp4netns.ts";
import type { RunOptions } from "../options/run-options.ts";
import { findProgram } from "./programs.ts";

/** Finds a helper on PATH; the function returned reads from its own --help which of the driver's options it has. */
function probe(driver: HelperDriver, name: string, path: string): () => Helper | undefined {
  const program = findProgram(name, path);
  if (program === undefined) return () => undefined;
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

/** A route to 0.0.0.0 with mask 0 (proc_pid_net(5)). */
function hasDefaultRoute(routes: string): boolean {
  return routes.split("\n").some((line) => {
    const fields = line.split("\t");
    return fields[1] === "00000000" && fields[7] === "00000000";
  });
}

/**
 * What this host offers for the network that is asked for; helpers that don't matter for it are not looked at. They are
 * started by this call and asked for their answers by the function that it returns: 2 ms in which others can be gathered.
 */
export function startNetworkFacts({ name, programs = {} }: RunOptions["network"], path: string): () => NetworkFacts {
  if (name === "host" || name === "none") {
    return () => ({ slirp4netns: undefined, pasta: undefined, tunProblem: undefined, defaultRoute: false });
  }
  const absent = (): undefined => undefined;
  const probes = {
    pasta: name === "slirp4netns" ? absent : probe(pasta, programs.pasta ?? pasta.name, path),
    slirp4netns: name === "pasta" ? absent : probe(slirp4netns, programs.slirp4netns ?? slirp4netns.name, path),
  };
  const routes = readFileSync("/proc/net/route", "latin1");
  return () => ({
    pasta: probes.pasta(),
    slirp4netns: probes.slirp4netns(),
    pesto: findProgram(programs.pesto ?? "pesto", path),
    tunProblem: tunProblem(),
    defaultRoute: hasDefaultRoute(routes),
    routed: routedNetworks(routes),
  });
}
