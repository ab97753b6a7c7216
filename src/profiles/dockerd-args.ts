import { isAbsolute, join } from "node:path";

/** What dockerd's own arguments and its daemon.json say about the things that rlkit would otherwise decide. */
export interface DockerdSettings {
  mtu: boolean;
  storageDriver: boolean;
  dataRoot: string;
  /** Where dockerd and the containerd that it starts leave their pids. */
  pidFiles: readonly string[];
  /** Somebody has decided about live-restore already. */
  liveRestore: boolean;
  /** The first address it listens on: `unix:///…/docker.sock`. */
  host: string;
  /** What an instance with a name is told besides, so that it has nothing in common with others. */
  apart: readonly string[];
}

/** The values of an option in dockerd's argv (pflag: `--name=value`, `--name value`, `-n value`, `-nvalue`), in their order. */
function values(args: readonly string[], names: readonly string[]): string[] {
  const found: (string | undefined)[] = [];
  for (const [i, arg] of args.entries()) {
    for (const name of names) {
      if (arg === name) found.push(args[i + 1]);
      else if (arg.startsWith(`${name}=`)) found.push(arg.slice(name.length + 1));
      else if (name.length === 2 && arg.startsWith(name) && !arg.startsWith("--")) found.push(arg.slice(2));
    }
  }
  return found.filter((value) => value !== undefined);
}

/** The value of an option that has one: the last. */
const value = (args: readonly string[], names: readonly string[]): string | undefined => values(args, names).at(-1);

/** Where dockerd looks for its configuration: `--config-file`, or the user's own daemon.json. */
export function configFile(args: readonly string[], env: Readonly<Record<string, string>>, home: string): string {
  return value(args, ["--config-file"]) ?? join(env.XDG_CONFIG_HOME || join(home, ".config"), "docker", "daemon.json");
}

/** What an instance has for itself, and where nobody has said so, is to have under its own name. */
interface Own {
  option: string;
  given: string | undefined;
  usual: string;
}

const told = (own: readonly Own[]): string[] =>
  own.flatMap(({ option, given, usual }) => (given === undefined ? [`${option}=${usual}`] : []));

/**
 * Reads the settings from dockerd's arguments (without its name) and its configuration; `config` is daemon.json's object, empty
 * if there is none. The defaults are those of a rootless dockerd.
 */
export function dockerdSettings(
  args: readonly string[],
  config: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string>>,
  home: string,
  runtimeDir: string,
  instance?: string,
): DockerdSettings {
  const text = (name: string): string | undefined => (typeof config[name] === "string" ? config[name] : undefined);
  const hosts = Array.isArray(config.hosts) ? config.hosts.map(String) : [];
  const name = instance === undefined ? "docker" : `docker-${instance}`;
  const root = value(args, ["--data-root", "--graph", "-g"]) ?? text("data-root");
  const data = {
    option: "--data-root",
    given: root !== undefined && isAbsolute(root) ? root : undefined,
    usual: join(env.XDG_DATA_HOME || join(home, ".local", "share"), name),
  };
  const exec = {
    option: "--exec-root",
    given: value(args, ["--exec-root"]) ?? text("exec-root"),
    usual: join(runtimeDir, name),
  };
  const pid = {
    option: "--pidfile",
    given: value(args, ["--pidfile", "-p"]) ?? text("pidfile"),
    usual: join(runtimeDir, `${name}.pid`),
  };
  const host = {
    option: "--host",
    given: values(args, ["--host", "-H"])[0] ?? hosts[0],
    usual: `unix://${join(runtimeDir, `${name}.sock`)}`,
  };
  return {
    mtu: value(args, ["--mtu"]) !== undefined || config.mtu !== undefined,
    storageDriver: value(args, ["--storage-driver", "-s"]) !== undefined || text("storage-driver") !== undefined,
    liveRestore: args.some((arg) => /^--live-restore(=|$)/.test(arg)) || config["live-restore"] !== undefined,
    dataRoot: data.given ?? data.usual,
    pidFiles: [pid.given ?? pid.usual, join(exec.given ?? exec.usual, "containerd", "containerd.pid")],
    host: host.given ?? host.usual,
    apart: instance === undefined ? [] : told([data, exec, pid, host]),
  };
}
