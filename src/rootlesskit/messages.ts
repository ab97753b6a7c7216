import { writeSync } from "node:fs";
import type { Line } from "../log.ts";
import { isTerminal } from "../native/calls.ts";

/** Who speaks: RootlessKit is two processes, and scripts know its lines by them. */
export type Speaker = "parent" | "child ";

/** An error as RootlessKit prints it. */
export function printError(speaker: Speaker, text: string): void {
  writeSync(2, `[rootlesskit:${speaker}] error: ${text}\n`);
}

const began = Date.now();
const levels = { trace: "trace", debug: "debug", info: "info", warn: "warning", error: "error" } as const;

/** A line of the log as logrus, Go's logger, writes it: short at a terminal, else as `key=value`. */
export function writeLogrus({ level, text, time }: Line): void {
  const message = `[rootlesskit:parent] ${text}`;
  if (isTerminal(2)) {
    const seconds = String(Math.floor((time - began) / 1000)).padStart(4, "0");
    writeSync(2, `${levels[level].toUpperCase().slice(0, 4)}[${seconds}] ${message}\n`);
    return;
  }
  const moment = new Date(time).toISOString().replace(/\.\d+Z$/, "Z");
  writeSync(2, `time="${moment}" level=${levels[level]} msg=${JSON.stringify(message)}\n`);
}

/** What Go calls signals 1 to 15. */
const signals = [
  "hangup",
  "interrupt",
  "quit",
  "illegal instruction",
  "trace/breakpoint trap",
  "aborted",
  "bus error",
  "floating point exception",
  "killed",
  "user defined signal 1",
  "segmentation fault",
  "user defined signal 2",
  "broken pipe",
  "alarm clock",
  "terminated",
];

/** How a command ended, by its wait status (waitpid(2)), as Go's os/exec says it. */
export function describeExit(status: number): string {
  const signo = status & 0x7f;
  if (signo === 0) return `exit status ${(status >> 8) & 0xff}`;
  return `signal: ${signals[signo - 1] ?? `signal ${signo}`}${status & 0x80 ? " (core dumped)" : ""}`;
}

/** An error as `rootlessctl` prints it. */
export function printProblem(text: string): void {
  writeSync(2, `error: ${text}\n`);
}
