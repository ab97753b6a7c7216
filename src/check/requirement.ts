import type { Machine } from "./machine.ts";

/** What a requirement's trial has shown. `skipped`: it could not be tried, or does not matter here. */
export type Verdict = "ok" | "warning" | "failure" | "skipped";

/**
 * Who runs the commands: root of this machine, the user who asks, or somebody outside of it (whoever starts the container
 * that this machine is, or its directory service).
 */
export type Who = "root" | "user" | "outside";

/** What mends something. */
export interface Fix {
  who: Who;
  /** Shell commands, to be run as they are; root's without sudo. */
  lines: readonly string[];
  /** In words, where no command does it, or what is to be known besides. */
  note?: string;
  /** For those who want it: nothing is broken without it, and it is not in the block for root. */
  optional?: true;
}

/** The result of one trial. */
export interface Finding {
  verdict: Verdict;
  /** What was done to find out. */
  tried: string;
  /** What that showed, and what it means: one sentence without a full stop at its end. */
  found: string;
  fix: readonly Fix[];
}

/** Something that a rootless dockerd needs of a machine. */
export interface Requirement {
  /** Stable: programs and the documentation go by it. */
  id: string;
  title: string;
  /** Others without which this one can't be tried, or would fail for their reason. */
  needs?: readonly string[];
  probe(machine: Machine): Finding | Promise<Finding>;
}

/** A finding with the requirement that it is about. */
export interface Checked extends Finding {
  id: string;
  title: string;
}

const finding =
  (verdict: Verdict) =>
  (tried: string, found: string, ...fix: Fix[]): Finding => ({ verdict, tried, found, fix });

export const ok = finding("ok");
export const warning = finding("warning");
export const failure = finding("failure");
export const skipped = finding("skipped");

/** Commands for root. */
export const asRoot = (...lines: string[]): Fix => ({ who: "root", lines });
/** Commands for the user. */
export const asUser = (...lines: string[]): Fix => ({ who: "user", lines });
/** What root, the user or somebody outside is to do, where no command is known that does it. */
export const inWords = (who: Who, note: string): Fix => ({ who, lines: [], note });
