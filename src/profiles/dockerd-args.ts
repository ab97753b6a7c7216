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
): DockerdSettings {
  const text = (name: string): string | undefined => (typeof config[name] === "string" ? config[name] : undefined);
  const hosts = Array.isArray(config.hosts) ? config.hosts.map(String) : [];
  const dataRoot = value(args, ["--data-root", "--graph", "-g"]) ?? text("data-root");
  const execRoot = value(args, ["--exec-root"]) ?? text("exec-root") ?? join(runtimeDir, "docker");
  return {
    mtu: value(args, ["--mtu"]) !== undefined || config.mtu !== undefined,
    storageDriver: value(args, ["--storage-driver", "-s"]) !== undefined || text("storage-driver") !== undefined,
    liveRestore: args.some((arg) => /^--live-restore(=|$)/.test(arg)) || config["live-restore"] !== undefined,
    dataRoot:
      dataRoot !== undefined && isAbsolute(dataRoot)
        ? dataRoot
        : join(env.XDG_DATA_HOME || join(home, ".local", "share"), "docker"),
    pidFiles: [
      value(args, ["--pidfile", "-p"]) ?? text("pidfile") ?? join(runtimeDir, "docker.pid"),
      join(execRoot, "containerd", "containerd.pid"),
    ],
    host: values(args, ["--host", "-H"])[0] ?? hosts[0] ?? `unix://${join(runtimeDir, "docker.sock")}`,
  };
}
