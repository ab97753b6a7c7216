import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isErrno } from "../errors.ts";
import type { DockerFacts } from "../host/docker-facts.ts";
import { log } from "../log.ts";
import type { SupervisionOptions } from "../options/supervision.ts";

// dockerd's live-restore has containers live on when dockerd ends: right for a restart, wrong for an end, at which they are to
// be told to stop. dockerd reads it again at SIGHUP, so it gets a copy of the user's daemon.json in which rlkit turns it on and off.

/** Where dockerd's configuration comes from, and the copy that dockerd is started with. */
export interface LiveRestore {
  from: string;
  to: string;
}

/** Whether dockerd is to be asked for live-restore, and what the user should know about that. */
export function wantsLiveRestore(
  { liveRestore, restart }: SupervisionOptions,
  { settings, swarm, config }: DockerFacts,
): { wanted: boolean; note?: string } {
  if (settings.liveRestore || liveRestore === "false" || config === undefined) return { wanted: false };
  if (liveRestore === "true") return { wanted: true };
  if (restart === "no") return { wanted: false };
  if (!swarm) return { wanted: true };
  return {
    wanted: false,
    note: "swarm mode excludes live-restore: containers end with dockerd, also when it is only restarted",
  };
}

/** Whether swarm mode has been switched on for a data root. */
export const hasSwarm = (dataRoot: string): boolean => existsSync(join(dataRoot, "swarm", "docker-state.json"));

/** The user's configuration with live-restore on or off; one that is no JSON object is left to dockerd to complain about. */
export function withLiveRestore(text: string | undefined, on: boolean): string {
  try {
    const config: unknown = JSON.parse(text ?? "{}");
    if (typeof config !== "object" || config === null || Array.isArray(config)) return text ?? "";
    return `${JSON.stringify({ ...config, "live-restore": on }, undefined, 2)}\n`;
  } catch {
    return text ?? "";
  }
}

/** Writes the copy anew from what the user's file says now. dockerd reads it at SIGHUP. */
export function writeLiveRestore({ from, to }: LiveRestore, on: boolean): void {
  let text: string | undefined;
  try {
    text = readFileSync(from, "utf8");
  } catch (error) {
    if (!isErrno(error, "ENOENT")) log.warn(`cannot read ${from}: ${(error as Error).message}`);
  }
  writeFileSync(to, withLiveRestore(text, on), { mode: 0o600 });
}
