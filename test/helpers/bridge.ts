import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { preparedRlkit } from "./prepared.ts";
import { ROOT, type Running, start } from "./run.ts";
import type { User } from "./user.ts";
import { until } from "./wait.ts";

const run = promisify(execFile);

/** A host with lxc's bridge: a network namespace with lxcbr0, 10.0.3.1, and (unless told otherwise) a DHCP and name server on it. */
export interface BridgedHost extends AsyncDisposable {
  /** Starts rlkit there; the user may connect to the bridge as often as `quota` says. */
  rlkit(user: User, args: readonly string[], quota?: number): Running;
  /** Starts another program there, as root. */
  start(command: readonly string[]): Running;
  /** The interfaces of the host, but for lo. */
  interfaces(): Promise<string[]>;
}

let made = 0;

/** `name` is one that the name server knows, for 10.0.3.1. */
export async function bridgedHost({ name = "there.test", dhcp = true } = {}): Promise<BridgedHost> {
  made += 1;
  const netns = `rlt-host-${process.pid}-${made}`;
  const ip = (...args: string[]) => run("ip", ["-n", netns, ...args]);
  await run("ip", ["netns", "add", netns]);
  await ip("link", "set", "lo", "up");
  await ip("link", "add", "lxcbr0", "type", "bridge");
  await ip("addr", "add", "10.0.3.1/24", "dev", "lxcbr0");
  await ip("link", "set", "lxcbr0", "up");
  const inside = (command: readonly string[]) => start(ROOT, ["ip", "netns", "exec", netns, ...command]);
  const leases = `/tmp/rlt-leases-${process.pid}-${made}`;
  await writeFile(leases, "");
  const options = ["--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--no-ping", "--user=root", "--no-daemon"];
  const addresses = ["--listen-address=10.0.3.1", "--bind-interfaces", `--address=/${name}/10.0.3.1`];
  const range = ["--dhcp-range=10.0.3.50,10.0.3.99,2m", "--dhcp-authoritative", `--dhcp-leasefile=${leases}`];
  const server = inside(["dnsmasq", ...options, ...addresses, ...(dhcp ? range : [])]);
  await until(() => /started, version/.test(server.stderr), { what: `dnsmasq: ${server.stderr}` });
  return {
    rlkit: (user, args, quota = 10) =>
      preparedRlkit(
        user,
        {
          // lxc-user-nic finds the bridge in the /sys of its own network namespace.
          script: `
            nsenter --net=/run/netns/${netns} mount -t sysfs sysfs /sys
            mount -t tmpfs tmpfs /etc/lxc
            mkdir -p /run/lxc
            mount -t tmpfs -o mode=1777 tmpfs /run/lxc
            [ ${quota} = 0 ] || echo "${user.name} veth lxcbr0 ${quota}" > /etc/lxc/lxc-usernet`,
          enter: ["nsenter", `--net=/run/netns/${netns}`],
        },
        args,
      ),
    start: inside,
    async interfaces() {
      const { stdout } = await ip("-j", "link", "show");
      return JSON.parse(stdout)
        .map(({ ifname }: { ifname: string }) => ifname)
        .filter((each: string) => each !== "lo");
    },
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await run("rm", ["-f", leases]);
      await run("ip", ["netns", "del", netns]);
    },
  };
}
