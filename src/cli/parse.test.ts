import { describe, expect, test } from "vitest";
import { type OptionTable, runOptions } from "./options.ts";
import { NeedsYargs, noWords, parseQuickly } from "./parse.ts";

const table: OptionTable = {
  name: { type: "string", describe: "" },
  color: { type: "string", choices: ["red", "blue"], default: "red", describe: "" },
  size: { type: "number", describe: "" },
  quick: { type: "boolean", describe: "" },
  dir: { type: "array", describe: "" },
};

const parse = (...argv: string[]) => parseQuickly(table, argv);

describe("options end", () => {
  test.each([
    ["at the first other word", ["--quick", "ls", "--size=3"], ["ls", "--size=3"]],
    ["at --, which is left out", ["--quick", "--", "--size=3", "ls"], ["--size=3", "ls"]],
    ["at the first of two --", ["--quick", "--", "ls", "--", "-l"], ["ls", "--", "-l"]],
    ["at the command, whose own -- stays", ["--quick", "sh", "--", "x"], ["sh", "--", "x"]],
    ["at a number, which stays as it was written", ["--quick", "007", "1e3"], ["007", "1e3"]],
    ["at an empty word", ["--quick", "--", ""], [""]],
  ])("%s", (_, argv, command) => {
    const parsed = parse(...argv);
    expect(parsed.command).toEqual(command);
    expect(parsed.values).toMatchObject({ quick: true, size: undefined });
  });

  test("so that the target's unknown options are its own", () => {
    expect(parse("dockerd", "--experimental", "-H", "x", "--name=daemon")).toMatchObject({
      command: ["dockerd", "--experimental", "-H", "x", "--name=daemon"],
      values: { name: undefined },
    });
  });
});

describe("values", () => {
  test.each([
    ["--name=value", ["--name=a=b"], { name: "a=b" }],
    ["--name value", ["--name", "b"], { name: "b" }],
    ["a string that looks like a number stays one", ["--name=0010"], { name: "0010" }],
    ["a scalar that is repeated: the last one wins", ["--name=a", "--name", "b"], { name: "b" }],
    ["also a number", ["--size=1", "--size=2"], { size: 2 }],
    ["also a choice", ["--color=blue", "--color=red"], { color: "red" }],
    ["an array that is repeated grows", ["--dir=/a", "--dir", "/b"], { dir: ["/a", "/b"] }],
    ["an option that is not given has its default", [], { color: "red", name: undefined, quick: undefined }],
    ["a boolean", ["--quick"], { quick: true }],
    ["--boolean=true and =false", ["--quick", "--quick=false"], { quick: false }],
    ["--no-boolean", ["--no-quick"], { quick: false }],
  ])("%s", (_, argv, values) => {
    expect(parse(...argv).values).toMatchObject(values);
  });

  test.each(["true", "false", "yes", "0"])("a boolean never takes the next word: --quick %s runs it", (word) => {
    expect(parse("--quick", word)).toMatchObject({ command: [word], values: { quick: true } });
  });

  test("an array takes one word and not the command", () => {
    expect(parse("--dir", "/a", "ls", "/b")).toMatchObject({ command: ["ls", "/b"], values: { dir: ["/a"] } });
  });

  test.each(["--quick=1", "--quick=maybe", "--quick="])("%s is refused: neither true nor false", (word) => {
    expect(() => parse(word, "ls")).toThrow(`${word} is neither true nor false`);
    expect(parse("ls", word).command).toEqual(["ls", word]);
  });
});

test.each([
  ["an unknown option", ["--nonsense"]],
  ["an unknown option with a value", ["--nonsense=1"]],
  ["an unknown letter", ["-x"]],
  ["a value that is not among the choices", ["--color=green"]],
  ["an empty value", ["--name="]],
  ["no value at the end", ["--name"]],
  ["no value before another option", ["--name", "--quick"]],
  ["a number with letters", ["--size=abc"]],
  ["a negative number", ["--size=-1"]],
  ["a fraction", ["--size=1.5"]],
  ["an array option without a value", ["--dir"]],
  ["help", ["--help"]],
])("yargs is to speak about %s", (_, argv) => {
  expect(() => parse(...argv, "--", "ls")).toThrow(NeedsYargs);
});

test("the options of run: what is not given has its default or none", () => {
  const { values } = parseQuickly(runOptions, ["--", "true"]);
  const given = Object.entries(values).filter(([, value]) => value !== undefined);
  expect(Object.fromEntries(given)).toEqual({
    net: "auto",
    "port-driver": "auto",
    "source-ip-transparent": true,
    "source-ip-transparent-backend": "auto",
    reaper: "auto",
    "cloud-metadata": "allow",
    "subid-source": "auto",
    "live-restore": "auto",
    "log-level": "info",
  });
});

test("a command without operands refuses words, and names the first", () => {
  expect(() => noWords("env", [])).not.toThrow();
  expect(() => noWords("env", ["a", "b"])).toThrow('rlkit env takes no arguments, got "a"');
});
