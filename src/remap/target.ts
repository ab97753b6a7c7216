import { parseConfig } from "../check/docker.ts";
import type { Machine } from "../check/machine.ts";
import type { AccountIo } from "./identity.ts";

/** What `rlkit remap check` is asked. */
export interface RemapTarget {
  /** daemon.json. */
  file: string;
  /** A value of userns-remap; undefined for the one in daemon.json. */
  given: string | undefined;
}

/** What the rootful dockerd's daemon.json says of it. */
export interface RemapSettings {
  config: Readonly<Record<string, unknown>>;
  /** Why daemon.json can't be read, if it can't. */
  problem: string | undefined;
  /** Its userns-remap; undefined if it has none. */
  configured: string | undefined;
  /** The value that is checked. */
  value: string | undefined;
  dataRoot: string;
}

const DATA_ROOT = "/var/lib/docker";

/** Reads daemon.json; a missing one counts as empty, as with dockerd. */
export function remapSettings({ file, given }: RemapTarget, { read, status }: Machine): RemapSettings {
  const text = read(file);
  const { config, problem } = parseConfig(text);
  const setting = config["userns-remap"];
  const configured = typeof setting === "string" && setting !== "" ? setting : undefined;
  const dataRoot = config["data-root"];
  const isHidden = text === undefined && status(file) !== undefined;
  const isWrong = setting !== undefined && typeof setting !== "string" ? "userns-remap is not a string" : undefined;
  return {
    config,
    problem: isHidden ? "this user may not read it" : (problem ?? isWrong),
    configured,
    value: given ?? configured,
    dataRoot: typeof dataRoot === "string" && dataRoot !== "" ? dataRoot : DATA_ROOT,
  };
}

/** Users, groups and sub-ids of a machine. */
export function accountsOf({ read, run }: Machine): AccountIo {
  return {
    readFile(path) {
      const text = read(path);
      if (text === undefined) throw Object.assign(new Error(`${path} can't be read`), { code: "ENOENT" });
      return text;
    },
    run(argv) {
      const { status, output } = run(argv);
      return { status, stdout: output, stderr: output };
    },
  };
}
