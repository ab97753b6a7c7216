import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compare, NOT_HERE } from "./bench.ts";
import { type Cell, cellsOf, type Dimension, dimensionNames, dimensions, type Selection, title } from "./cells.ts";
import { packImage, reason, tryAll } from "./checks.ts";
import { leftSince, startDaemon, traces } from "./daemon.ts";
import { prepare } from "./here.ts";
import { DIST, makeRoot, tidyHosts, upHost, WITH_PODMAN } from "./host.ts";
import { NO_PODMAN, type Podman, tryPodman } from "./podman.ts";
import { trySystemd } from "./systemd.ts";
import { matrixText, type Outcome, versionsOf, writeMatrix } from "./table.ts";

const USAGE = `npm run test:hosts [-- [--suite S,…] [--net N,…] [--storage S,…] [--iptables I,…] [--start S,…]
  [--rounds N] [--jobs N] [--systemd] [--bench] [--node FILE] [--write]]
Tries real dockerds of several Debian releases with rlkit, each in a throw-away host of its own (run it as root, after
npm run build). Each option takes one or more of its values, with commas:
${dimensionNames.map((name) => `  --${name.padEnd(8)}  ${dimensions[name].join(", ")}`).join("\n")}
  --rounds N  tries each cell as often; with --bench, times as often
  --jobs N    hosts at a time (default 2)
  --systemd   tries rlkit install, the service and a reboot in a host of each suite with systemd instead
  --bench     times the start of dockerd and docker run against the release's own RootlessKit instead
  --node FILE rlkit runs on that Node, and not on the release's own
  --write     puts the table of the whole matrix into docs/compatibility.md`;

const text = { type: "string" } as const;
const flag = { type: "boolean", default: false } as const;
const { values } = parseArgs({
  options: {
    ...{ suite: text, net: text, storage: text, iptables: text, start: text },
    ...{ rounds: text, jobs: text, node: text, systemd: flag, bench: flag, write: flag, help: { ...flag, short: "h" } },
  },
});

function selected<Name extends Dimension>(name: Name): readonly Cell[Name][] {
  const known = dimensions[name] as readonly Cell[Dimension][] as readonly Cell[Name][];
  const wanted = values[name]?.split(",") ?? known;
  const unknown = wanted.find((value) => !known.some((other) => other === value));
  if (unknown !== undefined) throw new Error(`--${name}=${unknown} is none of ${known.join(", ")}`);
  return known.filter((value) => wanted.includes(value) && (value !== "rlkit" || HAS_SCRIPT));
}

function count(name: "rounds" | "jobs", otherwise: number): number {
  const value = Number(values[name] ?? otherwise);
  if (!Number.isInteger(value) || value < 1) throw new Error(`--${name}=${values[name]} is no count`);
  return value;
}

/** Whether this tree has a script of its own that starts dockerd. */
const HAS_SCRIPT = existsSync(join(DIST, "bin", "dockerd-rootless.sh"));

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

/** The outcome of each, so many at a time, in the given order. */
async function inParallel<T, Result>(jobs: number, items: readonly T[], run: (item: T) => Promise<Result>) {
  const results: Result[] = [];
  const rest = [...items.entries()];
  const worker = async (): Promise<void> => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) results[next[0]] = await run(next[1]);
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return results;
}

/** One cell, each round in a fresh host: everything from the start of dockerd to what it leaves. */
async function runCell(cell: Cell): Promise<Outcome> {
  const failed = new Set<string>();
  for (let round = 1; round <= rounds; round += 1) {
    const begin = performance.now();
    const result = await tryCell(cell).catch((error) => ({ failed: [reason(error)] }));
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    const notHere = "notHere" in result ? result.notHere : undefined;
    say(`${title(cell)}: ${notHere ?? (result.failed.join("; ") || "ok")} (${seconds} s)`);
    if (notHere !== undefined) return { cell, notHere, failed: [] };
    for (const line of result.failed) failed.add(line);
  }
  return { cell, failed: [...failed] };
}

async function tryCell(cell: Cell): Promise<Omit<Outcome, "cell">> {
  await using host = await upHost(cell.suite, values.node);
  const missing = await prepare(host, cell);
  if (missing !== undefined) return { notHere: `not here: ${missing}`, failed: [] };
  await packImage(host);
  const before = await traces(host);
  const daemon = await startDaemon(host, cell, "rlkit");
  const failed = await tryAll(host, cell);
  const status = await daemon.stop().catch(reason);
  if (status !== 0) failed.push(`end: ${status}`);
  failed.push(...(await leftSince(host, before)).map((line) => `left: ${line}`));
  return { failed };
}

/** The same cell with rlkit and with Debian's RootlessKit in turn. */
async function benchCell(cell: Cell): Promise<void> {
  await using host = await upHost(cell.suite, values.node);
  const missing = await prepare(host, cell);
  if (missing !== undefined) return void say(`${title(cell)}: not here: ${missing}`);
  const compared = await compare(host, cell, rounds).catch(reason);
  if (typeof compared === "string") {
    if (!compared.startsWith(NOT_HERE)) process.exitCode = 1;
    return void say(`${title(cell)}: ${compared}`);
  }
  for (const { what, rlkit, rootlesskit, ratio } of compared) {
    const times = `${rlkit.toFixed(0)} ms, RootlessKit ${rootlesskit.toFixed(0)} ms`;
    say(`${title(cell)}: ${what} ${times}, ratio ${ratio.toFixed(2)}`);
  }
}

async function podmanCell(suite: Cell["suite"]): Promise<Podman> {
  await using host = await upHost(suite);
  const result = await tryPodman(host).catch((error) => `podman: ${reason(error)}`);
  say(`${suite} · podman as the mapped root: ${result}`);
  return { suite, result };
}

async function tryMatrix(): Promise<void> {
  const outcomes = await inParallel(jobs, cellsOf(selection), runCell);
  const podman = await inParallel(
    jobs,
    selection.suite.filter((suite) => suite === WITH_PODMAN),
    podmanCell,
  );
  const versions = await inParallel(jobs, selection.suite, versionsOf);
  const text = matrixText(outcomes, podman, versions);
  say(`\n${text}`);
  if (values.write) writeMatrix(text);
  const isWell = ({ result }: Podman) => result === "ok" || result === NO_PODMAN;
  if (outcomes.some(({ failed }) => failed.length > 0) || !podman.every(isWell)) process.exitCode = 1;
}

async function tryServices(): Promise<void> {
  for (const suite of selection.suite) {
    const failed = await trySystemd(suite);
    say(`${suite} · systemd: ${failed.join("; ") || "ok"}`);
    if (failed.length > 0) process.exitCode = 1;
  }
}

let selection: Selection;
let rounds: number;
let jobs: number;

try {
  const [suite, net, storage] = [selected("suite"), selected("net"), selected("storage")];
  selection = { suite, net, storage, iptables: selected("iptables"), start: selected("start") };
  rounds = count("rounds", values.bench ? 7 : 1);
  jobs = count("jobs", values.bench ? 1 : 2);
  const isWhole = dimensionNames.every((name) => values[name] === undefined);
  if (values.write && (values.bench || !isWhole)) throw new Error("--write wants the whole matrix");
} catch (error) {
  process.stderr.write(`${reason(error)}\n`);
  process.exit(2);
}
if (values.help) {
  say(USAGE);
} else {
  await tidyHosts();
  selection.suite.forEach(makeRoot);
  if (values.systemd) await tryServices();
  else if (values.bench) await inParallel(jobs, cellsOf(selection), benchCell);
  else await tryMatrix();
}
