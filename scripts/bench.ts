import { execFileSync } from "node:child_process";
import { release } from "node:os";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { nodeDirectory } from "../test/helpers/environment.ts";
import { copyTree } from "../test/helpers/tree.ts";
import { removeStaleUsers, testUser } from "../test/helpers/user.ts";
import { benchDockerd } from "./bench/dockerd.ts";
import { benchLaunch } from "./bench/launch.ts";
import { benchMemory } from "./bench/memory.ts";
import { benchPorts } from "./bench/ports.ts";
import { printTable, writeJson } from "./bench/report.ts";
import { benchRestart } from "./bench/restart.ts";
import { type Subject, subjects } from "./bench/subject.ts";

const USAGE = `npm run bench [-- [launch] [dockerd] [memory] [ports] [restart] [--node PATH] [--rounds N]]
Compares rlkit with the machine's RootlessKit, as an ordinary user (run it as root, after npm run build).
PATH is the Node that rlkit runs on, a file whose name is node; by default the machine's.`;

const BENCHES = {
  launch: [benchLaunch, 25],
  dockerd: [benchDockerd, 7],
  memory: [benchMemory, 3],
  ports: [benchPorts, 5],
  restart: [benchRestart, 5],
} as const;
const isBench = (name: string): name is keyof typeof BENCHES => name in BENCHES;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { node: { type: "string" }, rounds: { type: "string" }, help: { type: "boolean", short: "h" } },
});
const chosen = positionals.length > 0 ? positionals : Object.keys(BENCHES);
const wanted = values.rounds === undefined ? undefined : Number(values.rounds);

if (values.help === true || !chosen.every(isBench) || (wanted !== undefined && !(wanted >= 1))) {
  console.log(USAGE);
  process.exitCode = values.help === true ? 0 : 2;
} else {
  await main(chosen.filter(isBench));
}

async function main(names: (keyof typeof BENCHES)[]): Promise<void> {
  const node = values.node === undefined ? nodeDirectory() : dirname(resolve(values.node));
  await removeStaleUsers();
  await using user = await testUser();
  await using tree = await copyTree();
  const all = subjects({ user, tree: tree.path, node });
  const setting = {
    kernel: release(),
    node: firstLine(all, [join(node, "node"), "--version"]),
    rootlesskit: firstLine(all, ["rootlesskit", "--version"]),
  };
  console.log(`rlkit on Node ${setting.node} against ${setting.rootlesskit}, Linux ${setting.kernel}`);
  const rows = [];
  for (const name of names) {
    const [bench, rounds] = BENCHES[name];
    console.log(`${name} …`);
    rows.push(...(await bench(user, all, wanted ?? rounds)));
  }
  printTable(rows);
  writeJson("bench-results.json", setting, rows);
}

function firstLine([subject]: readonly Subject[], [file = "", ...args]: readonly string[]): string {
  const output = execFileSync(file, args, { env: subject?.env, encoding: "utf8" });
  return output.split("\n", 1)[0] ?? "";
}
