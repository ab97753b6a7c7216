import { formatHostPort } from "../options/host-access.ts";
import { formatPortSpec } from "../ports/spec.ts";
import { Clone, Mount, type Operation } from "./operations.ts";
import type { Action, Plan } from "./steps.ts";

/** The names of the flags that are set, joined by commas. */
function flagNames(table: Readonly<Record<string, number>>, flags: number): string {
  return Object.keys(table)
    .filter((name) => (flags & (table[name] ?? 0)) !== 0)
    .join(",");
}

function printMount([, source, target, type, flags]: Extract<Operation, readonly ["mount", ...unknown[]]>): string {
  const words = flagNames(Mount, flags);
  if (flags & Mount.move) return `move the mount at ${source} to ${target}`;
  if (flags & Mount.bind)
    return `bind ${source} onto ${target}${flags & Mount.recursive ? ", with what is mounted below" : ""}`;
  if (flags & (Mount.private | Mount.slave | Mount.shared)) return `make the mount ${target} ${words}`;
  return `mount ${type} on ${target}${words && ` (${words})`}`;
}

/** An operation as a phrase that goes on from "cannot" or "could not". */
export function printOperation(op: Operation): string {
  switch (op[0]) {
    case "unshare":
      return `unshare namespaces: ${flagNames(Clone, op[1])}`;
    case "fork_pid1":
      return "fork into the new pid namespace";
    case "set_ids":
      return `become uid ${op[1]}, gid ${op[2]} (inside)`;
    case "mount":
      return printMount(op);
    case "umount":
      return `unmount ${op[1]}`;
    case "mkdir":
      return `make directory ${op[1]}`;
    case "rmdir":
      return `remove directory ${op[1]}`;
    case "unlink":
      return `remove ${op[1]}`;
    case "symlink":
      return `link ${op[2]} to ${op[1]}`;
    case "write_file":
      return `write ${JSON.stringify(op[4])} to ${op[1]}`;
    case "link_entries":
      return `link the entries of ${op[1]} into ${op[2]}`;
    case "link_up":
      return `bring interface ${op[1]} up`;
    case "link_mtu":
      return `set the MTU of ${op[1]} to ${op[2]}`;
    case "tap":
      return `make tap device ${op[1]}`;
    case "addr_add":
      return `give ${op[1]} the address ${op[2]}/${op[3]}`;
    case "route_default":
      return `route everything to ${op[2]} by ${op[1]}`;
    case "mknod":
      return `make the empty file ${op[1]}`;
    case "detach_netns":
      return `make a network namespace at ${op[1]}`;
    case "netlink":
      return `send ${op[2].length} bytes of netlink messages to ${op[1] === 12 ? "netfilter" : "the routing tables"}`;
  }
}

/** What a step does, in one line for people. */
export function printAction(action: Action): string {
  switch (action.do) {
    case "make-private-dir":
      return `make ${action.path}, if it is not there`;
    case "lock-state-dir":
      return `lock the state directory ${action.path}`;
    case "start-init":
      return "start rlkit-ns init";
    case "inside":
      return `${printOperation(action.op)}${action.ifFailed ? " (if the step before failed)" : ""}`;
    case "write-id-maps": {
      const map = (entries: typeof action.uid): string =>
        entries.map((e) => `${e.inside}:${e.outside}:${e.length}`).join(" ");
      const [uid, gid] = action.tools ? ["newuidmap", "newgidmap"] : ["write uid_map", "gid_map"];
      return `${uid} ${map(action.uid)}; ${gid} ${map(action.gid)}`;
    }
    case "start-helper": {
      const { path, args, ethernet } = action;
      return `start ${path} ${args.join(" ")}${ethernet ? `, and carry frames between it and ${ethernet.ifname}` : ""}`;
    }
    case "plug-in":
      return `${action.path} create /dev/null rlkit {child} veth ${action.bridge} ${action.ifname}`;
    case "await-lease":
      return `ask for an address by DHCP on ${action.ifname}; write resolv.conf`;
    case "evacuate-cgroup":
      return `move the processes of this cgroup into ${action.name} below it`;
    case "await-helper":
      return "wait until the helper is ready";
    case "write-state-file":
      return `write ${action.name} to the state directory`;
    case "choose-storage":
      return `try storage drivers on ${action.dataRoot}: ${action.candidates.join(", ")}`;
    case "publish":
      return `publish ${action.ports.map(formatPortSpec).join(", ")} (${action.driver})`;
    case "open-host-ports":
      return `open the host's ports ${action.ports.map(formatHostPort).join(", ")} inside`;
    case "execute":
      return `run ${action.argv.join(" ")}`;
    case "write-child-pid":
      return "write child_pid to the state directory";
    case "listen-notify":
      return `listen on ${action.path}`;
    case "listen-api":
      return "listen on api.sock in the state directory";
    case "start-target":
      return `start ${action.argv.join(" ")}`;
  }
}

/** Who carries a step out. */
const who = ({ do: kind }: Action): string =>
  ["inside", "execute", "start-target"].includes(kind) ? "inside" : "outside";

/** The plan as a table for a terminal of that many columns: step, where, what, why. */
export async function printPlan(plan: Plan, columns: number): Promise<string> {
  const { default: Table } = await import("cli-table3");
  const fixed = 4 + 9;
  const what = Math.max(30, Math.floor((columns - fixed - 6) * 0.55));
  const table = new Table({
    head: ["", "where", "what", "why"],
    colWidths: [4, 9, what, Math.max(24, columns - fixed - what - 6)],
    wordWrap: true,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 1, compact: true },
    chars: {
      top: "",
      "top-mid": "",
      "top-left": "",
      "top-right": "",
      bottom: "",
      "bottom-mid": "",
      "bottom-left": "",
      "bottom-right": "",
      left: "",
      right: "",
      middle: " ",
      "left-mid": "",
      mid: "",
      "mid-mid": "",
      "right-mid": "",
    },
  });
  for (const [i, step] of plan.entries()) table.push([i + 1, who(step), printAction(step), step.why]);
  return `${table.toString()}\n`;
}
