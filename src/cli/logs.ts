import { readFileSync, readlinkSync, statSync, writeSync } from "node:fs";
import { RlkitError } from "../errors.ts";
import { findProgram } from "../host/programs.ts";
import { exec } from "../native/calls.ts";
import { environmentList, targetEnvironment } from "../options/run-options.ts";
import { printed } from "../output.ts";
import type { Status } from "../supervisor/status.ts";
import type { Command } from "./command.ts";
import { apiOf } from "./instance.ts";
import type { Parsed } from "./options.ts";
import { noWords } from "./parse.ts";
import { instanceOption } from "./ports-options.ts";

const LINES = 50;

/** The service of the user's manager in which a process is; undefined if it is in none. */
function unitOf(pid: number): string | undefined {
  const group = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, "utf8"))?.[1] ?? "";
  return /\/user@\d+\.service\/.*?([^/]+\.service)/.exec(group)?.[1];
}

/** The regular file that standard error of a process goes to, and where else it goes. */
function errorsOf(pid: number): { file?: string; place: string } {
  const path = `/proc/${pid}/fd/2`;
  const place = readlinkSync(path);
  return statSync(path).isFile() ? { file: place, place } : { place };
}

/** Becomes another program. */
function become(name: string, args: readonly string[]): void {
  const env = targetEnvironment(process.env);
  const path = findProgram(name, `${env.PATH ?? ""}:/usr/bin:/bin`);
  if (path === undefined) throw new RlkitError("COMMAND", `${name} is not on PATH`);
  exec({ path, argv: [name, ...args], env: environmentList(env), fds: [0, 1, 2] });
}

async function run(parsed: Parsed): Promise<number> {
  noWords("logs", parsed.command);
  const follow = parsed.values.follow === true ? ["-f"] : [];
  const lines = String(parsed.values.lines ?? LINES);
  const { pid, logFile, lastLines } = await apiOf(parsed).ask<Status>("GET", "/v1/rlkit/status");
  const unit = unitOf(pid);
  const { file, place } = errorsOf(pid);
  if (logFile !== null) become("tail", ["-n", lines, ...follow, "--", logFile]);
  if (unit !== undefined)
    become("journalctl", ["--user", `--unit=${unit}`, `--lines=${lines}`, "--output=cat", ...follow]);
  if (file !== undefined) become("tail", ["-n", lines, ...follow, "--", file]);
  const note = `the log goes to ${place}, where it can't be read again; --log-file=FILE or a systemd service keeps it`;
  writeSync(2, `rlkit: ${note}\n`);
  return printed(lastLines.map((line) => `${line}\n`).join(""));
}

/** `rlkit logs`: what an instance and its target have written, where that is kept. */
export const command: Command = {
  name: "logs",
  operands: "",
  describe: "Show the log of an instance: the journal's, the file's, or the target's last lines",
  options: {
    ...instanceOption,
    lines: { type: "number", alias: "n", describe: `how many lines (${LINES})` },
    follow: { type: "boolean", alias: "f", describe: "go on with what comes; ends with ^C" },
  },
  optionsAnywhere: true,
  run,
};
