import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runOptions } from "../cli/options.ts";
import { parseQuickly } from "../cli/parse.ts";
import { configurable, readConfig, withConfig } from "./config.ts";
import { configPath } from "./path.ts";
import { configSchema } from "./schema.ts";

let path: string;

beforeEach(() => {
  path = join(mkdtempSync(join(tmpdir(), "rlkit-config-")), "config.json");
});
afterEach(() => rmSync(join(path, ".."), { recursive: true }));

function read(content: unknown) {
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content, undefined, 2));
  return readConfig(path, runOptions);
}

describe("where it lies", () => {
  test.each<[object, string | undefined]>([
    [{ HOME: "/home/a" }, "/home/a/.config/rlkit/config.json"],
    [{ HOME: "/home/a", XDG_CONFIG_HOME: "/etc/a" }, "/etc/a/rlkit/config.json"],
    [{ HOME: "/home/a", XDG_CONFIG_HOME: "" }, "/home/a/.config/rlkit/config.json"],
    [{}, undefined],
  ])("%j: %s", (env, expected) => {
    expect(configPath(env as NodeJS.ProcessEnv)).toBe(expected);
  });
});

test("no file says nothing", () => {
  expect(readConfig(path, runOptions)).toBeUndefined();
});

test("the command line goes before the instance's part, that before the rest, that before the defaults", () => {
  const config = read({
    $schema: "x",
    mtu: 1400,
    net: "slirp4netns",
    publish: ["8080:80"],
    instances: { ci: { mtu: 1300, net: "none" } },
  });
  if (config === undefined) throw new Error("it was not read");
  const values = (argv: string[], instance?: string) =>
    withConfig(parseQuickly(runOptions, [...argv, "--", "true"]), config, instance).values;
  expect(values([])).toMatchObject({ mtu: 1400, net: "slirp4netns", publish: ["8080:80"], "log-level": "info" });
  expect(values([], "ci")).toMatchObject({ mtu: 1300, net: "none", publish: ["8080:80"] });
  expect(values(["--net=pasta"], "ci")).toMatchObject({ mtu: 1300, net: "pasta" });
  expect(values(["--net=auto"])).toMatchObject({ net: "auto" }); // a default that was said
  expect(values(["-p", "1:2"])).toMatchObject({ publish: ["1:2"] });
  expect(values([], "toString")).toMatchObject({ mtu: 1400 });
});

test.each<[string, string]>([
  ['{\n  "mtuu": 1\n}', ':2: "mtuu" is no option, did you mean mtu?'],
  ['{\n  "mtu": "1"\n}', ':2: "mtu" is to be a number'],
  ['{\n  "mtu": -1\n}', ':2: "mtu" is to be a number'],
  ['{ "pidns": "yes" }', ':1: "pidns" is to be true or false'],
  ['{\n\n  "publish": "8080:80"\n}', ':3: "publish" is to be an array of strings'],
  ['{ "publish": [1] }', ':1: "publish" is to be an array of strings'],
  ['{ "net": "tor" }', ':1: "net" is to be one of auto, '],
  ['{ "cidr": "" }', ':1: "cidr" is to be a string'],
  ['{ "wait": true }', ':1: "wait" is no option for a file: it is about one start alone'],
  ['{ "__proto__": 1 }', ':1: "__proto__" is no option'],
  [
    '{\n  "mtu": 1,\n  "instances": {\n    "ci": {\n      "mtu": "x"\n    }\n  }\n}',
    ':5: "instances.ci.mtu" is to be a number',
  ],
  ['{\n  "instances": []\n}', ':2: "instances" is to be an object'],
  ['{\n  "instances": { "ci": 1 }\n}', ':2: "instances.ci" is to be an object'],
  ["[]", ":1: what it says is to be an object"],
  ['{\n  "mtu": 1,\n}', ":3: this is no JSON: "],
  ["", ":1: this is no JSON: "],
])("%j is told with its place", (text, message) => {
  expect(() => read(text)).toThrow(expect.objectContaining({ message: expect.stringContaining(`${path}${message}`) }));
});

test("a file that can't be read is no missing one", () => {
  expect(() => readConfig(join(path, "..", "."), runOptions)).toThrow(/cannot read .*EISDIR/);
});

test("the published schema is that of the options", () => {
  const published = readFileSync(join(import.meta.dirname, "..", "..", "docs", "config.schema.json"), "utf8");
  expect(JSON.parse(published)).toEqual(configSchema(runOptions)); // else: dist/bin/rlkit config schema > docs/config.schema.json
});

test("the schema has every option that a file can have, and no other", () => {
  const { properties } = configSchema(runOptions) as { properties: Record<string, object> };
  const { $schema: _, instances: __, ...options } = properties;
  expect(Object.keys(options)).toEqual(Object.keys(configurable(runOptions)));
  expect(properties.net).toMatchObject({ type: "string", enum: expect.arrayContaining(["pasta"]), default: "auto" });
  expect(properties.publish).toMatchObject({ type: "array" });
});
