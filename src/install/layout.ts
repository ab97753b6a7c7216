import { join } from "node:path";
import type { Store } from "./acquire.ts";

/** Where an installation has its parts. */
export interface Layout extends Store {
  /** Who it is for: a user, or users whom an administrator names. */
  scope: "user" | "system";
  /** The journal's directory. */
  directory: string;
  /** The link to the version in use. */
  current: string;
  bin: string;
  units: string;
  /** For the user manager's environment; the system has none. */
  environmentFile: string | undefined;
}

interface LayoutOptions {
  home: string;
  env: Readonly<Record<string, string | undefined>>;
  /** The directory of the links, if the user has named one. */
  bin: string | undefined;
}

function layoutIn(directory: string): Pick<Layout, "directory" | "current" | keyof Store> {
  return {
    directory,
    current: join(directory, "current"),
    versions: join(directory, "versions"),
    downloads: join(directory, "downloads"),
  };
}

/** A user's own. */
export function userLayout({ home, env, bin }: LayoutOptions): Layout {
  const config = env.XDG_CONFIG_HOME || join(home, ".config");
  const data = env.XDG_DATA_HOME || join(home, ".local", "share");
  return {
    ...layoutIn(join(data, "rlkit", "install")),
    scope: "user",
    bin: bin ?? join(home, "bin"),
    units: join(config, "systemd", "user"),
    environmentFile: join(config, "environment.d", "60-rlkit.conf"),
  };
}

/** An administrator's, for users that are named. */
export function systemLayout(bin: string | undefined): Layout {
  return {
    ...layoutIn("/usr/local/lib/rlkit/install"),
    scope: "system",
    bin: bin ?? "/usr/local/bin",
    units: "/etc/systemd/user",
    environmentFile: undefined,
  };
}
