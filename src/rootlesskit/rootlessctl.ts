import { existsSync, writeSync } from "node:fs";
import { join } from "node:path";
import { exchange } from "../api/client.ts";
import type { Info } from "../api/info.ts";
import { RlkitError } from "../errors.ts";
import { printed } from "../output.ts";
import type { PortStatus } from "../ports/driver.ts";
import { parsePortSpec } from "../ports/spec.ts";
import { shownVersion } from "./flags.ts";
import { BadFlag, type GoArguments, type GoFlags, type GoProgram, goHelp, parseGoFlags } from "./go-flags.ts";
import { printProblem } from "./messages.ts";

/** urfave/cli's exit status for a command that there is not. */
const NO_SUCH_COMMAND = 3;
const ANSWER_DEADLINE = 30_000; // milliseconds

type Ask = <T>(method: string, path: string, body?: unknown) => Promise<T>;

interface Subcommand {
  usage: string;
  operands: string;
  flags: GoFlags;
  run(ask: Ask, args: GoArguments): Promise<string>;
}

const json: GoFlags = { json: { kind: "bool", usage: "Prints as JSON" } };

const line = (value: unknown): string => `${JSON.stringify(value)}\n`;

const subcommands: Readonly<Record<string, Subcommand>> = {
  "list-ports": {
    usage: "List ports",
    operands: "",
    flags: json,
    async run(ask, args) {
      const ports = (await ask<PortStatus[] | null>("GET", "/v1/ports")) ?? [];
      return args.is("json") ? ports.map(line).join("") : table(ports);
    },
  },
  "add-ports": {
    usage: "Add ports",
    operands: "PARENTIP:PARENTPORT:CHILDPORT/PROTO [PARENTIP:PARENTPORT:CHILDPORT/PROTO...]",
    flags: json,
    async run(ask, args) {
      if (args.words.length === 0) throw new RlkitError("USAGE", "no port specified");
      const specs = args.words.map((word) => parsePortSpec(word));
      let text = "";
      try {
        for (const spec of specs) {
          const status = await ask<PortStatus>("POST", "/v1/ports", spec);
          text += args.is("json") ? line(status) : `${status.id}\n`;
        }
      } catch (error) {
        printed(text);
        throw error;
      }
      return text;
    },
  },
  "remove-ports": {
    usage: "Remove ports",
    operands: "ID [ID...]",
    flags: {},
    async run(ask, args) {
      if (args.words.length === 0) throw new RlkitError("USAGE", "no ID specified");
      const ids = args.words.map((word) => {
        if (/^[+-]?\d+$/.test(word)) return Number(word);
        throw new RlkitError("USAGE", `strconv.Atoi: parsing ${JSON.stringify(word)}: invalid syntax`);
      });
      for (const id of ids) {
        await ask("DELETE", `/v1/ports/${id}`);
        printed(`${id}\n`);
      }
      return "";
    },
  },
  info: {
    usage: "Show info",
    operands: "",
    flags: json,
    async run(ask, args) {
      const info = await ask<Info>("GET", "/v1/info");
      return args.is("json") ? `${JSON.stringify(info, null, 4)}\n` : describe(info);
    },
  },
};

const globalFlags: GoFlags = {
  debug: { kind: "bool", usage: "debug mode" },
  socket: {
    kind: "string",
    usage:
      'Path to api.sock (under the "rootlesskit --state-dir" directory), defaults to $ROOTLESSKIT_STATE_DIR/api.sock',
  },
};

const program: GoProgram = {
  name: "rootlessctl",
  usage: "RootlessKit API client",
  synopsis: "rootlessctl [global options] command [command options] [arguments...]",
  version: shownVersion,
  commands: Object.entries(subcommands).map(([name, { usage }]) => [name, usage] as const),
  flags: globalFlags,
};

const isHelp = (word = ""): boolean => /^(--?h|--?help|help)$/.test(word);

/** `rootlessctl`, with its argv without the name; resolves to the exit status. */
export async function rootlessctl(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  try {
    return await run(argv, env);
  } catch (error) {
    if (error instanceof BadFlag) printed(`Incorrect Usage: ${error.message}\n\n${goHelp(program)}\n`);
    const isUnknown = !(error instanceof BadFlag || error instanceof RlkitError) && !isErrno(error);
    if (isUnknown) throw error;
    printProblem((error as Error).message);
    return 1;
  }
}

async function run(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  if (/^--?(v|version)$/.test(argv[0] ?? "")) return printed(`rootlessctl version ${shownVersion}\n`);
  if (argv.length === 0 || isHelp(argv[0])) return printed(goHelp(program));
  const global = parseGoFlags(globalFlags, argv);
  const [name = "", ...rest] = global.words;
  const command = subcommands[name];
  if (command === undefined) {
    if (name === "") return printed(goHelp(program));
    writeSync(2, `No help topic for '${name}'\n`);
    return NO_SUCH_COMMAND;
  }
  if (isHelp(rest[0])) return printed(helpOf(name, command));
  const ask: Ask = async <T>(method: string, path: string, body?: unknown) => {
    const socket = global.text("socket") || (env.ROOTLESSKIT_STATE_DIR && join(env.ROOTLESSKIT_STATE_DIR, "api.sock"));
    if (!socket) throw new RlkitError("USAGE", "please specify --socket or set $ROOTLESSKIT_STATE_DIR");
    if (!existsSync(socket)) throw new RlkitError("INSTANCE", `stat ${socket}: no such file or directory`);
    return (await exchange(socket, { method, path, timeout: ANSWER_DEADLINE }, body)) as T;
  };
  return printed(await command.run(ask, parseGoFlags(command.flags, rest)));
}

const isErrno = (error: unknown): boolean => typeof (error as { code?: unknown }).code === "string";

function helpOf(name: string, { usage, operands, flags }: Subcommand): string {
  const synopsis = `rootlessctl ${name} [command options] ${operands}`.trimEnd();
  return goHelp({ ...program, name: `rootlessctl ${name}`, usage, synopsis, commands: [], flags });
}

/** As Go's text/tabwriter lays it out: cells of at least 4, to a multiple of 8 if need be, and 4 blanks behind each. */
function table(ports: readonly PortStatus[]): string {
  const rows = [
    ["ID", "PROTO", "PARENTIP", "PARENTPORT", "CHILDIP", "CHILDPORT"],
    ...ports.map(({ id, spec }) => [
      ...[String(id), spec.proto, spec.parentIP ?? "", String(spec.parentPort)],
      ...[spec.childIP ?? "", String(spec.childPort)],
    ]),
  ];
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(4, ...rows.map((row) => (row[column] ?? "").length + 4)));
  return rows.map((row) => `${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join("")}\n`).join("");
}

function describe({ apiVersion, version, stateDir, childPID, networkDriver, portDriver }: Info): string {
  const lines = [
    `- REST API version: ${apiVersion}`,
    `- Implementation version: ${version}`,
    `- State Directory: ${stateDir}`,
    `- Child PID: ${childPID}`,
  ];
  if (networkDriver !== undefined) {
    lines.push(`- Network Driver: ${networkDriver.driver}`, `  - DNS: [${(networkDriver.dns ?? []).join(" ")}]`);
    lines.push(`  - IP: ${networkDriver.childIP ?? "<nil>"}`);
  }
  if (portDriver !== undefined) {
    lines.push(`- Port Driver: ${portDriver.driver}`, `  - Supported protocols: [${portDriver.protos.join(" ")}]`);
  }
  return lines.map((each) => `${each}\n`).join("");
}
