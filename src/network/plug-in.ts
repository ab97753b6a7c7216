import { userInfo } from "node:os";
import { RlkitError } from "../errors.ts";
import { capture } from "../native/capture.ts";

/** What lxc-user-nic is to do: `pid` is that of a process in the network namespace. */
interface Plug {
  path: string;
  bridge: string;
  ifname: string;
  pid: number;
  env: readonly string[];
}

/**
 * Has lxc-user-nic(1) connect a network namespace with a bridge of the host's. The interface goes with the namespace. Throws
 * RlkitError("NETWORK") where that is not allowed (lxc-usernet(5)).
 */
export function plugIn({ path, bridge, ifname, pid, env }: Plug): void {
  const { status, output } = capture(
    path,
    ["create", "/dev/null", "rlkit", String(pid), "veth", bridge, ifname],
    env,
    30_000,
  );
  if (status === 0) return;
  // Each line begins with a place in its source; the last one alone says "quota reached", whatever it was.
  const lines = output.split("\n").map((line) => line.replace(/^\S+: \d+: \w+: /, "").trim());
  const said = lines.filter((line) => line !== "").join("; ") || "it said nothing";
  throw new RlkitError("NETWORK", `${path} could not connect to ${bridge}: ${said}`, {
    hint: `as root: echo '${userInfo().username} veth ${bridge} 10' >> /etc/lxc/lxc-usernet; another network: --net=auto`,
  });
}
