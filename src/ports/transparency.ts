import { constants } from "node:os";
import { SyscallError } from "../errors.ts";
import { errnoName } from "../native/errno.ts";
import type { Instruction } from "../plan/operations.ts";
import { type IpVersion, iptablesMarking, nftMarking, type Part, routing, unrouting } from "./transparency-rules.ts";

/** What marks connections so that the target sees clients' own addresses; "none" if it can't see them. */
export type TransparencyBackend = "nft" | "iptables" | "none";

/** The ways to do something inside. */
export interface Inside {
  /** As Control.run: one result for each instruction, up to the first that failed and may not. */
  run(instructions: readonly Instruction[]): Promise<number[]>;
  /** Runs a program to its end. Throws a SyscallError when it can't be executed. */
  execute(argv: readonly string[]): Promise<{ status: number; output: string }>;
}

/** What `installTransparency` has done. */
export interface Transparency {
  backend: TransparencyBackend;
  /** Whether that holds for IPv6 as well. */
  ipv6: boolean;
  /** What did not work, a sentence each. */
  reasons: string[];
}

/**
 * Makes the namespace carry connections from addresses that are not its own (transparency-rules.ts says how): nftables by
 * preference, iptables where only that works. Never throws for what this kernel or this host lacks, and leaves nothing of an
 * attempt that failed.
 */
export async function installTransparency(inside: Inside, wanted: "auto" | "nft" | "iptables"): Promise<Transparency> {
  const reasons = new Set<string>();
  for (const backend of wanted === "auto" ? (["nft", "iptables"] as const) : [wanted]) {
    const problem = await install(inside, backend, 4);
    if (problem === undefined) {
      const problem6 = await install(inside, backend, 6);
      if (problem6 !== undefined) reasons.add(problem6);
      return { backend, ipv6: problem6 === undefined, reasons: [...reasons] };
    }
    reasons.add(problem);
  }
  return { backend: "none", ipv6: false, reasons: [...reasons] };
}

/** Sets up one IP version, or nothing of it. Returns what did not work. */
async function install(inside: Inside, backend: "nft" | "iptables", version: IpVersion): Promise<string | undefined> {
  const mark = backend === "nft" ? () => carryOut(inside, [nftMarking(version)]) : () => iptables(inside, version);
  const problem = (await carryOut(inside, routing(version))) ?? (await mark());
  if (problem !== undefined) await inside.run(unrouting(version).map((op) => ({ op, mayFail: true })));
  return problem;
}

async function carryOut(inside: Inside, parts: readonly Part[]): Promise<string | undefined> {
  const results = await inside.run(parts.map(({ op, mayFail }) => ({ op, mayFail: mayFail !== undefined })));
  for (const [i, { failure, mayFail }] of parts.entries()) {
    const result = results[i] ?? 0; // nothing comes after a failure, which was found before
    if (result >= 0 || mayFail === "any" || (mayFail === "EEXIST" && result === -constants.errno.EEXIST)) continue;
    return `${failure}: ${errnoName(-result)}`;
  }
  return undefined;
}

async function iptables(inside: Inside, version: IpVersion): Promise<string | undefined> {
  for (const argv of iptablesMarking(version, "append")) {
    const { status, output } = await attempt(inside, argv);
    if (status === 0) continue;
    for (const undo of iptablesMarking(version, "delete")) await attempt(inside, undo);
    return output.trim().split("\n")[0] || `${argv[0]}: exit status ${status}`; // it names itself in what it says
  }
  return undefined;
}

async function attempt(inside: Inside, argv: readonly string[]): Promise<{ status: number; output: string }> {
  try {
    return await inside.execute(argv);
  } catch (error) {
    if (!(error instanceof SyscallError)) throw error;
    return { status: 127, output: `${argv[0]}: ${error.code === "ENOENT" ? "not found" : error.code}` };
  }
}
