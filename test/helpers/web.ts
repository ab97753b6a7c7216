import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { ROOT, start } from "./run.ts";
import { until } from "./wait.ts";

const run = promisify(execFile);

/** A web server in a network namespace of its own, which the host reaches by a pair of veth devices. */
interface WebServer extends AsyncDisposable {
  readonly url: string;
}

// Of the range for benchmarks (RFC 2544), in which no real machine is; by process, so that two test runs do not meet.
const NETWORK = `198.18.${process.pid % 256}`;
const HOST = `${NETWORK}.1`;
const SERVER = `${NETWORK}.2`;

export async function webServer(page: string): Promise<WebServer> {
  const netns = `rlt-web-${process.pid}`;
  const [outer, inner] = [`rltw${process.pid}a`, `rltw${process.pid}b`];
  const ip = (...args: string[]) => run("ip", args);
  const directory = await mkdtemp(join(tmpdir(), "rlkit-web-"));
  await writeFile(join(directory, "index.html"), page);
  await ip("netns", "add", netns);
  await ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", netns);
  await ip("addr", "add", `${HOST}/24`, "dev", outer);
  await ip("link", "set", outer, "up");
  await ip("-n", netns, "addr", "add", `${SERVER}/24`, "dev", inner);
  await ip("-n", netns, "link", "set", inner, "up");
  const listen = `${SERVER}:80`;
  const server = start(ROOT, ["ip", "netns", "exec", netns, "busybox", "httpd", "-f", "-p", listen, "-h", directory]);
  const url = `http://${SERVER}/index.html`;
  await until(async () => (await (await fetch(url)).text()) === page, { what: `the page at ${url}` });
  return {
    url,
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await ip("link", "del", outer);
      await ip("netns", "del", netns);
      await rm(directory, { recursive: true });
    },
  };
}
