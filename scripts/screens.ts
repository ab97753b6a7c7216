import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { transformSync } from "esbuild";
import { packImage } from "../test/hosts/checks.ts";
import { type BootedHost, bootHost, makeRoot, RLKIT, tidyHosts, USER } from "../test/hosts/host.ts";
import { PACK_DOCKER } from "../test/hosts/systemd.ts";
import { record, type Session } from "./screens/record.ts";
import { SIZE, screenOf } from "./screens/screen.ts";
import { toSvg } from "./screens/svg.ts";

const USAGE = `npm run screens
Takes the pictures of docs/screens anew, in a throw-away host with systemd (run it as root, after npm run build).`;

const SUITE = "trixie";
const PICTURES = join(import.meta.dirname, "..", "docs", "screens");

/** The host's kernel is this machine's, and its release may have a name of this machine in it. */
const neutral = (output: string): string => output.replaceAll(release(), release().replace(/-.*/, ""));

async function take(name: string, title: string, output: string): Promise<void> {
  const picture = toSvg(title, await screenOf(neutral(output)), SIZE.columns);
  writeFileSync(join(PICTURES, `${name}.svg`), picture);
  console.log(`docs/screens/${name}.svg: ${picture.length} bytes`);
}

/** A name server, as a machine has one that is connected to the Internet; the host's own Node runs no TypeScript. */
async function serveNames(host: BootedHost): Promise<void> {
  const source = readFileSync(join(import.meta.dirname, "..", "test", "helpers", "name-server.ts"), "utf8");
  const { code } = transformSync(source, { loader: "ts" });
  const script = `${code}\nawait nameServer("127.0.0.1", "198.18.7.1");`;
  await host.root("systemd-run", "--quiet", "--property=Type=exec", "node", "--input-type=module", "--eval", script);
  await host.root("sh", "-c", "echo nameserver 127.0.0.1 >/etc/resolv.conf");
}

/** A user to whom no ids were delegated; then what rlkit says to root, and a look at what that has mended. */
async function check(host: BootedHost): Promise<void> {
  await serveNames(host);
  await host.root("sh", "-c", `sed -i /^${USER}:/d /etc/subuid /etc/subgid`);
  await take(
    "check",
    "rlkit check on a machine with a fault: what is wrong, and the commands that mend it",
    await record(host.session, { command: "rlkit check", status: 1 }),
  );
  const { root } = JSON.parse(await host.session(`${RLKIT}/bin/rlkit check --json || :`)) as { root: string[] };
  await host.root("sh", "-euxc", root.join("\n"));
  await take(
    "check-mended",
    "rlkit check on that machine afterwards: a rootless dockerd can run",
    await record(host.session, { command: "rlkit check" }),
  );
}

/** A look at a bar that is about half full. */
const HALF = /[\s\S]*?█{6,10}░.*?\/s \d+s/;

async function install(host: BootedHost): Promise<void> {
  await host.session(
    `${PACK_DOCKER}
    mkdir ~/Downloads && mv ~/docker*.tgz ~/Downloads && cd ~/Downloads && sha256sum *.tgz >SHA256SUMS`,
    60_000,
  );
  const output = await record(host.session, { command: "rlkit install --from Downloads --now" });
  const [half] = HALF.exec(output) ?? [];
  if (half === undefined) throw new Error("no bar was seen half full");
  await take("install-bar", "rlkit install, while it unpacks: a bar with the rate and the remaining time", half);
  await take("install", "rlkit install: what it has made, and what to do next", output);
}

const FETCH = "while :; do curl -s http://127.0.0.1:8080/busybox -o /dev/null; sleep 0.3; done";

async function status(host: BootedHost): Promise<void> {
  const user: Session = (command) => host.session(`export PATH=$HOME/bin:$PATH; ${command}`);
  await packImage({ sh: user });
  await user("docker import ~/image.tar web && docker run -d --init -p 8080:80 web httpd -f -p 80 -h /bin");
  const command = "rlkit status --watch";
  const output = await record(host.session, { command, status: 130, until: "tcp4.*MiB.$", meanwhile: FETCH });
  await take("status", "rlkit status --watch: dockerd, its network, memory and ports", output);
}

if (process.argv.length > 2) {
  console.log(USAGE);
  process.exitCode = 2;
} else {
  await tidyHosts();
  makeRoot(SUITE);
  mkdirSync(PICTURES, { recursive: true });
  await using host = await bootHost(SUITE);
  await check(host);
  await install(host);
  await status(host);
}
