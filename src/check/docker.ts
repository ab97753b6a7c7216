import { join } from "node:path";
import { hasDockerPackage } from "../host/distribution.ts";
import { configFile, dockerdSettings } from "../profiles/dockerd-args.ts";
import { install } from "./causes.ts";
import type { Machine } from "./machine.ts";
import { asUser, type Finding, failure, inWords, ok, type Requirement, warning } from "./requirement.ts";
import { runtimeDirectory } from "./session.ts";

/** What this user's dockerd would be set to. */
interface DockerSettings {
  dataRoot: string;
  storageDriver: boolean;
  /** `unix:///…/docker.sock` */
  host: string;
  configFile: string;
  /** Why daemon.json can't be read. */
  problem: string | undefined;
}

/** The settings of a dockerd without options; a daemon.json that can't be read counts as empty. */
export function dockerSettings(machine: Machine): DockerSettings {
  const { env, user, read } = machine;
  const home = user.home ?? "/";
  const file = configFile([], env, home);
  const { config, problem } = parseConfig(read(file));
  const settings = dockerdSettings([], config, env, home, runtimeDirectory(machine) ?? join(home, ".docker", "run"));
  return { ...settings, configFile: file, problem };
}

/** What a daemon.json says: nothing where there is none, or where it is no JSON object (`problem` says why). */
export function parseConfig(text: string | undefined): {
  config: Record<string, unknown>;
  problem: string | undefined;
} {
  if (text === undefined) return { config: {}, problem: undefined };
  try {
    const config: unknown = JSON.parse(text);
    if (typeof config === "object" && config !== null && !Array.isArray(config))
      return { config: { ...config }, problem: undefined };
    return { config: {}, problem: "it is not a JSON object" };
  } catch (error) {
    return { config: {}, problem: (error as Error).message };
  }
}

function daemonJson(machine: Machine): Finding {
  const { configFile: file, problem } = dockerSettings(machine);
  const tried = `read ${file} as JSON`;
  if (problem === undefined)
    return ok(tried, machine.read(file) === undefined ? "there is none, and none is needed" : file);
  return failure(tried, `${file}: ${problem}; dockerd does not start`, inWords("user", `correct ${file}`));
}

function dockerd(machine: Machine): Finding {
  const tried = "dockerd --version";
  const program = machine.find("dockerd");
  const missing = ["dockerd", "containerd", "runc"].filter((name) => machine.find(name) === undefined);
  if (program === undefined || missing.length > 0) {
    const found = `${missing.join(", ")} not found on PATH or in /usr/sbin`;
    const { distribution } = machine;
    // RHEL and its like have Docker from Docker alone; a user can unpack that at home.
    const mend = hasDockerPackage(distribution) ? install(machine, "dockerd", "dockerd") : asUser("rlkit install");
    return failure(tried, found, mend);
  }
  const { status, output } = machine.run([program, "--version"]);
  const said = output.trim().split("\n").at(-1) ?? "";
  if (status === 0) return ok(tried, said);
  return failure(
    tried,
    `${program} does not run: ${said || `exit status ${status}`}`,
    install(machine, "dockerd", "dockerd"),
  );
}

const ROOTFUL = ["/var/run/docker.sock", "/run/docker.sock"];

/** Which dockerd a `docker` of this user would talk to. */
function client(machine: Machine): Finding {
  const { env, user, read, writable } = machine;
  const tried = "DOCKER_HOST, docker's current context, and whether the rootful daemon's socket is open to this user";
  const { host } = dockerSettings(machine);
  const set = env.DOCKER_HOST;
  if (set === host) return ok(tried, `DOCKER_HOST is ${host}`);
  if (set !== undefined && set !== "") {
    const found = `DOCKER_HOST is ${set}: docker talks to that, not to this user's daemon`;
    return warning(tried, found, asUser("unset DOCKER_HOST", 'eval "$(rlkit env)"'));
  }
  const context = contextOf(read(join(env.DOCKER_CONFIG || join(user.home ?? "/", ".docker"), "config.json")), env);
  if (context !== undefined) return ok(tried, `docker's context is ${context}`);
  const rootful = ROOTFUL.find(writable);
  if (rootful === undefined) return ok(tried, `tell docker where the daemon is: eval "$(rlkit env)"`);
  const found = `docker without DOCKER_HOST talks to the rootful daemon at ${rootful}, which this user may write to`;
  return warning(tried, found, asUser('eval "$(rlkit env)"'));
}

function contextOf(config: string | undefined, env: Machine["env"]): string | undefined {
  const { currentContext } = parseConfig(config).config;
  const name = env.DOCKER_CONTEXT || currentContext;
  return typeof name === "string" && name !== "" && name !== "default" ? name : undefined;
}

/** Docker's own programs and their configuration. */
export const docker: readonly Requirement[] = [
  { id: "daemon-json", title: "daemon.json", needs: ["user"], probe: daemonJson },
  { id: "dockerd", title: "dockerd", probe: dockerd },
  { id: "docker-client", title: "docker's daemon", needs: ["user"], probe: client },
];
