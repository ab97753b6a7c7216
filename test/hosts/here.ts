import type { Cell } from "./cells.ts";
import { reason } from "./checks.ts";
import { type Host, USER } from "./host.ts";

const LAYERS = "mkdir -p a b c d &&";
const TAP = "unshare -Urn ip tuntap add name tap9 mode tap";

/** Commands that do what each choice needs, without rlkit: what fails here is none of rlkit's business. */
const needs: Readonly<Record<Cell["storage" | "net" | "iptables"], string>> = {
  overlay2: `${LAYERS} unshare -Urm mount -t overlay -o userxattr,lowerdir=a,upperdir=b,workdir=c overlay d`,
  "fuse-overlayfs": `${LAYERS} unshare -Urmpf --kill-child fuse-overlayfs -o lowerdir=a,upperdir=b,workdir=c d`,
  vfs: "true",
  slirp4netns: `slirp4netns --version && ${TAP}`,
  pasta: `pasta --version && ${TAP}`,
  nft: rules(),
  legacy: rules(),
};

/** The extensions that dockerd uses, in the tables where it does. Its lock lies in /run. */
function rules(): string {
  const commands = [
    "-t nat -N OF_OURS",
    "-t nat -A PREROUTING -m addrtype --dst-type LOCAL -j OF_OURS",
    "-t nat -A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE",
    "-t nat -A OF_OURS -p tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80",
    "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
  ];
  return `unshare -Urmn sh -ec 'mount -t tmpfs tmpfs /run; ${commands.map((words) => `iptables ${words}`).join("; ")}'`;
}

/** Makes the host the one that the cell wants; returns why it can't be had, if so. */
export async function prepare(host: Host, { net, storage, iptables }: Cell): Promise<string | undefined> {
  try {
    for (const name of ["iptables", "ip6tables"]) {
      await host.root("update-alternatives", "--set", name, `/usr/sbin/${name}-${iptables}`);
    }
    for (const need of [net, storage, iptables]) {
      await host.sh(`mkdir -p ~/needs && cd ~/needs && { ${needs[need]}; } >/dev/null`);
    }
  } catch (error) {
    return reason(error);
  } finally {
    // Of root: overlayfs leaves directories that their owner can't enter.
    await host.root("rm", "-rf", `/home/${USER}/needs`);
  }
  return undefined;
}
