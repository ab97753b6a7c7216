import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { copyTree } from "../test/helpers/tree.ts";
import { removeStaleUsers, testUser } from "../test/helpers/user.ts";
import { chaos } from "./chaos/run.ts";

const USAGE = `npm run chaos [-- [--seed N] [--seconds N] [--net slirp4netns|pasta] [--without NAME]…]
Runs dockerd under rlkit with five containers, and kills, stops and disturbs at random whatever belongs to it but the containers;
then everything must serve, and after the end nothing be left (run it as root, after npm run build).
The same seed gives the same faults. NAME is a kind of process (as printed), restart, or request.`;

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Math.floor(Math.random() * 2 ** 32)) },
    seconds: { type: "string", default: "120" },
    net: { type: "string" },
    without: { type: "string", multiple: true },
    help: { type: "boolean", short: "h" },
  },
});
const [seed, seconds] = [Number(values.seed), Number(values.seconds)];

if (values.help === true || !Number.isInteger(seed) || !(seconds > 0)) {
  console.log(USAGE);
  process.exitCode = values.help === true ? 0 : 2;
} else {
  await main();
}

async function main(): Promise<void> {
  const { net, without } = values;
  console.log(`seed ${seed}, ${seconds} s`);
  await removeStaleUsers();
  await using user = await testUser();
  await using tree = await copyTree();
  const say = (line: string) => console.log(line);
  const outcome = await chaos({
    ...{ user, tree: tree.path, seed, seconds, say },
    ...(net !== undefined && { net }),
    ...(without !== undefined && { without }),
  });
  const { wrong, faults, fetched, failed, log } = outcome;
  for (const line of wrong) console.log(`WRONG: ${line}`);
  if (wrong.length > 0) console.log(`the log: ${keepLog(log)}`);
  const all = wrong.length === 0 ? "all served at the end, nothing is left" : `${wrong.length} things wrong`;
  const not = Object.entries(failed).map(([why, count]) => `, not ${count} (${why})`);
  console.log(`seed ${seed}: ${faults} faults in ${seconds} s; pages fetched: ${fetched}${not.join("")}; ${all}`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}

function keepLog(text: string): string {
  const directory = join(import.meta.dirname, "..", "build", "chaos");
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${seed}.log`);
  writeFileSync(path, text);
  return path;
}
