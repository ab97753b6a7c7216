import { openSync, writeSync } from "node:fs";
import { RlkitError } from "./errors.ts";
import { isTerminal } from "./native/calls.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "silent";

type Fields = Readonly<Record<string, unknown>>;
/** One line of the log. */
export interface Line {
  level: Exclude<LogLevel, "silent">;
  text: string;
  fields: Fields;
  /** Milliseconds since the epoch: lines wait until pino is there, but keep their time. */
  time: number;
}

const severity = { trace: 10, debug: 20, info: 30, warn: 40, error: 50, silent: 100 } as const;

let threshold: LogLevel = "info";
let file: string | undefined;
let write: ((line: Line) => void) | undefined;
let waiting: Line[] = [];
let sink: ((line: Line) => void) | undefined;

/**
 * Sets what is logged and where to: standard error, a file that is appended to, or another form of a line. Lines before this wait.
 */
export function configureLog(options: {
  level: LogLevel;
  file?: string | undefined;
  write?: (line: Line) => void;
}): void {
  threshold = options.level;
  write = options.write;
  if (options.file === undefined) return;
  try {
    openSync(options.file, "a");
  } catch (cause) {
    const text = `cannot write --log-file ${options.file}: ${(cause as Error).message}`;
    throw new RlkitError("USAGE", text, { hint: "name a file that you can write to, or a new one", cause });
  }
  file = options.file;
}

function add(level: Line["level"], text: string, fields: Fields = {}): void {
  if (severity[level] < severity[threshold]) return;
  const line = { level, text, fields, time: Date.now() };
  if (sink === undefined) waiting.push(line);
  else sink(line);
}

/** The log. Nothing is written before `flushLog`: pino takes 9 ms to load, which the target needn't wait for. */
export const log = {
  debug: (text: string, fields?: Fields): void => add("debug", text, fields),
  info: (text: string, fields?: Fields): void => add("info", text, fields),
  warn: (text: string, fields?: Fields): void => add("warn", text, fields),
  error: (text: string, fields?: Fields): void => add("error", text, fields),
};

/** Whether lines of this level are kept at all: callers that prepare costly ones ask first. */
export const logs = (level: LogLevel): boolean => severity[level] >= severity[threshold];

/**
 * Writes the lines that waited and every later one at once: JSON lines, or short readable ones when standard error is a
 * terminal. Does nothing (and loads nothing) when no line waits and none is expected.
 */
export function flushLog(options: { expectMore: boolean }): void {
  if (sink === undefined) {
    if (waiting.length === 0 && !options.expectMore) return;
    sink = write ?? openSink();
  }
  for (const line of waiting) sink(line);
  waiting = [];
}

function openSink(): (line: Line) => void {
  const { pino } = require("pino") as typeof import("pino");
  // Synchronous: a launcher that is killed, or that ends with its target, must not lose its last line.
  const destination = pino.destination({ dest: file ?? 2, sync: true, append: true });
  const options = {
    level: "trace",
    base: null,
    timestamp: false,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  const logger = pino(options, file === undefined && isTerminal(2) ? pretty(destination) : destination);
  return ({ level, text, fields, time }) => logger[level]({ time, ...fields }, text);
}

function pretty(destination: object): import("pino").DestinationStream {
  const { PinoPretty } = require("pino-pretty") as typeof import("pino-pretty");
  return PinoPretty({
    destination: destination as import("pino").DestinationStream & NodeJS.WritableStream,
    translateTime: "SYS:HH:MM:ss",
    singleLine: true,
    hideObject: !logs("debug"),
    sync: true,
  });
}

/**
 * Reports why rlkit ends and returns the exit status: a known cause as one line (what, on which object, why; what to do), also
 * in the log file if there is one; anything else with its stack, since that is a defect.
 */
export function report(error: unknown): number {
  const known = error instanceof RlkitError;
  const text = known ? error.message : `a defect in rlkit: ${error instanceof Error ? error.stack : String(error)}`;
  const hint = known && error.hint !== undefined ? `. To do: ${error.hint}` : "";
  if (file !== undefined) add("error", text, known ? { code: error.code, hint: error.hint } : {});
  flushLog({ expectMore: false });
  writeSync(2, `rlkit: ${text}${hint}\n`);
  return known ? error.exitStatus : 125;
}
