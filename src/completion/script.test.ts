import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { groups, loadAllCommands } from "../cli/commands.ts";
import { completionScript } from "./script.ts";

const commands = await loadAllCommands();
const script = completionScript("bash", commands, groups);

/**
 * What bash's function replies to the words of a line, the last of which is the one at the cursor; and what it left to readline.
 */
function complete(line: string, before = ""): { reply: string[]; left: string } {
  const words = line.split(" ");
  const whole = `${script}${harness}${before}\n_rlkit; report`;
  const output = execFileSync("bash", ["--norc", "-c", whole, "bash", ...words], {
    encoding: "utf8",
    env: { PATH: process.env.PATH },
  });
  const [left = "", ...reply] = output.split("\n").slice(0, -1);
  return { reply, left };
}

// compopt works in a completion alone, so a function stands for it.
const harness = `
compopt() { left+="$* "; }
report() { printf '%s\\n' "$left" "\${COMPREPLY[@]}"; }
COMP_WORDBREAKS=$' \\t\\n"\\'><=;|&(:'
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
`;

test("bash completes commands, and the second words of those that have two", () => {
  const first = new Set(commands.map(({ name }) => name.split(" ", 1)[0]));
  expect(new Set(complete("rlkit ").reply)).toEqual(first);
  expect(complete("rlkit sta").reply).toEqual(["status"]);
  expect(complete("rlkit ports ").reply).toEqual(["list", "add", "remove", "drivers"]);
  expect(complete("rlkit --").reply).toEqual(["--help", "--version"]);
});

test.each([
  // bash breaks words at =, and completes what is behind it.
  ["rlkit run --net = pas", ["pasta"]],
  ["rlkit run --net =", expect.arrayContaining(["auto", "pasta", "host"])],
  ["rlkit run --net pas", ["pasta"]],
  ["rlkit run --port", ["--port-driver="]],
  ["rlkit run --pid", ["--pidns"]],
  ["rlkit run --source-ip-transparent = ", ["true", "false"]],
  ["rlkit run --pidns = f", ["false"]],
  ["rlkit run --net = pasta --net", ["--net="]],
  ["rlkit run --restart = on", ["on-failure"]],
  ["rlkit plan --js", ["--json"]],
  ["rlkit run --js", []],
  ["rlkit run -p 8080:80 --pid", ["--pidns"]],
  ["rlkit run -p 127.0.0.1 : 8080 : 80 --pid", ["--pidns"]],
  ["rlkit run --publish = [ :: 1] : 8080 : 80 --pid", ["--pidns"]],
  ["rlkit run --cidr ", []],
  ["rlkit ports add 8080:80 --js", ["--json"]],
  ["rlkit ports add -- --js", []],
  ["rlkit ports --h", ["--help"]],
  ["rlkit completion ", ["bash", "zsh", "fish"]],
  ["rlkit stauts --j", []],
])("bash completes %j to %j", (line, expected) => {
  expect(complete(line).reply).toEqual(expected);
});

test("bash: where = breaks no words, the option stands before its value", () => {
  expect(complete("rlkit run --net=pas", "COMP_WORDBREAKS=' '").reply).toEqual(["--net=pasta"]);
});

test.each([
  ["rlkit run --log-file = /va", "-o default "],
  ["rlkit run --state-dir /va", "-o dirnames "],
  ["rlkit link /va", "-o dirnames "],
  ["rlkit run --net", "-o nospace "],
])("bash leaves %j to readline: %j", (line, left) => {
  expect(complete(line).left).toBe(left);
});

test("bash completes the program, and leaves what follows it to bash-completion where that is there", () => {
  expect(complete("rlkit run --pidns -- tru").reply).toContain("true");
  expect(complete("rlkit exec tru").reply).toContain("true");
  expect(complete("rlkit run -- dockerd --net")).toEqual({ reply: [], left: "-o default " });
  const other = '_comp_command_offset() { COMPREPLY=("from word $1"); }';
  expect(complete("rlkit run --net = pasta -- dockerd --ip", other).reply).toEqual(["from word 6"]);
  expect(complete("rlkit run dockerd --ip", other).reply).toEqual(["from word 2"]);
});

const run = commands.find(({ name }) => name === "run");
test.each(["bash", "zsh", "fish"] as const)(
  "%s is told of every command, and of every option of run and its choices",
  (shell) => {
    const words = new Set(completionScript(shell, commands, groups).split(/[^\w-]+/));
    for (const { name } of commands) for (const word of name.split(" ")) expect(words).toContain(word);
    expect(Object.keys(run?.options ?? {}).length).toBeGreaterThan(30);
    for (const [name, { choices = [], alias }] of Object.entries(run?.options ?? {})) {
      expect(words).toContain(shell === "fish" ? name : `--${name}`);
      if (alias !== undefined) expect(words).toContain(shell === "fish" ? alias : `-${alias}`);
      for (const choice of choices) expect(words).toContain(choice);
    }
  },
);
