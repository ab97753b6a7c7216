import { mkdirSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
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

/** A new user whom no ids were delegated to, and who does not linger; then what rlkit says to root. */
async function check(host: BootedHost): Promise<void> {
  await host.root("sh", "-c", `sed -i /^${USER}:/d /etc/subuid /etc/subgid`);
  await take(
    "check",
    "rlkit check on a machine with a fault: what is wrong, and the commands that mend it",
    await record(host.session, { command: "rlkit check", status: 1 }),
  );
  const { root } = JSON.parse(await host.session(`${RLKIT}/bin/rlkit check --json || :`)) as { root: string[] };
  await host.root("sh", "-euxc", root.join("\n"));
  await take("check-mended", "rlkit check, all is well", await record(host.session, { command: "rlkit check" }));
}

async function install(host: BootedHost): Promise<void> {
  await host.session(`${PACK_DOCKER}
    mkdir ~/Downloads && mv ~/docker*.tgz ~/Downloads`);
  const command = "rlkit install --from Downloads --now";
  await take("install", "rlkit install: what it has made", await record(host.session, { command }));
}

const FETCH = "while :; do curl -s http://127.0.0.1:8080/busybox -o /dev/null; sleep 0.3; done";

async function status(host: BootedHost): Promise<void> {
  const user: Session = (command) => host.session(`export PATH=$HOME/bin:$PATH; ${command}`);
  await packImage({ sh: user });
  await user("docker import ~/image.tar web && docker run -d --init -p 8080:80 web httpd -f -p 80 -h /bin");
  const command = "rlkit status --watch";
  const output = await record(host.session, { command, status: 130, until: "MiB/s", meanwhile: FETCH });
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
