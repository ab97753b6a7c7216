import { join } from "node:path";
import { RlkitError } from "../errors.ts";
import type { HostFacts } from "../host/facts.ts";
import type { IdMap } from "../idmap/map.ts";
import { chooseNetwork, type Network } from "../network/choose.ts";
import { type Environment, environmentList, type RunOptions } from "../options/run-options.ts";
import { choosePortDriver } from "../ports/capabilities.ts";
import type { PortDriverName } from "../ports/driver.ts";
import { containerdProfile } from "../profiles/containerd.ts";
import { dockerProfile } from "../profiles/docker.ts";
import { plainProfile } from "../profiles/plain.ts";
import type { Note, Profile } from "../profiles/profile.ts";
import { copyUp } from "./copy-up.ts";
import { idMaps } from "./id-maps.ts";
import { inside } from "./inside.ts";
import { kernelFileSystems, propagation } from "./mounts.ts";
import { nameResolution } from "./name-resolution.ts";
import { blockMetadata, configureNetwork, networkNotes, startHelper } from "./networking.ts";
import { Clone, Mount } from "./operations.ts";
import { forwarding, hostPorts, portNotes, publish } from "./publishing.ts";
import type { Plan, Step } from "./steps.ts";

/** What a run will do, and where: the plan with the few values that others want to know. */
export interface PlannedRun {
  steps: Plan;
  stateDir: string;
  network: Network;
  portDriver: PortDriverName;
  profile: Profile;
  /** Sentences for the log: what was decided that the user might have expected otherwise. */
  notes: readonly Note[];
}

/** Decides everything about a run. Pure: the same options and facts give the same plan. Throws what makes it impossible. */
export function planRun(options: RunOptions, facts: HostFacts): PlannedRun {
  const network = chooseNetwork(options.network.name, facts.network);
  const portDriver = choosePortDriver(options.ports.driver, network);
  const profile = profileOf(options, facts, network);
  const stateDir = options.stateDir ?? profile.stateDir;
  const notify = notifySocket(options, profile, stateDir);
  const env = targetEnvironment({ ...profile.env, ...named(options) }, stateDir, facts);
  const maps = idMaps(options, facts.ids);
  const asRoot = becomeRoot(maps, facts);
  const copied = facts.copyUp.map(({ path }) => path);
  const steps: Step[] = [
    ...profile.prepare,
    { do: "lock-state-dir", path: stateDir, why: "one run at a time has it, and it goes when the run ends" },
    {
      do: "start-init",
      env,
      why: "the only process of rlkit inside; Node has threads and can't enter a user namespace",
    },
    inside(["unshare", namespaceFlags(options, network)], describeNamespaces(options, network)),
    maps,
    ...asRoot,
    ...pidNamespace(options),
    ...evacuation(options),
    ...detachedNetwork(options, stateDir, asRoot.length > 0),
    ...startHelper(options.network, network, forwarding(portDriver, stateDir, facts.network.pesto), stateDir),
    ...propagation(options.propagation),
    ...facts.copyUp.flatMap((directory) => copyUp(directory, facts.runId)),
    ...(options.detachNetns ? [] : kernelFileSystems(options, facts, network)),
    ...configureNetwork(options.network, network, stateDir),
    ...blockMetadata(options, network),
    ...nameResolution(options, network, { stateDir, facts, copiedUp: copied, rootIsAnother: asRoot.length > 0 }),
    ...profile.steps,
    ...publish(options.ports.publish, portDriver),
    ...hostPorts(options.hostAccess, network),
    { do: "write-child-pid", why: "init's pid: nsenter and RootlessKit's clients look for it" },
    { do: "listen-api", why: "before the target starts: dockerd 28 and later asks at once and does not ask again" },
    ...(notify === undefined ? [] : [listenNotify(notify)]),
    {
      do: "start-target",
      argv: profile.command,
      env: notify === undefined ? env : [...env, `NOTIFY_SOCKET=${notify}`],
      openFiles: options.openFiles,
      newSession: options.newSession || profile.daemon !== undefined, // ^C reaches rlkit alone, which knows what to do about it
      daemon: profile.daemon !== undefined,
      activation: options.activation,
      why: "what all this was for",
    },
  ];
  const notes = [...profile.notes, ...networkNotes(options, network), ...portNotes(options.ports.publish, portDriver)];
  return { steps, stateDir, network, portDriver, profile, notes };
}

function profileOf(options: RunOptions, facts: HostFacts, network: Network): Profile {
  switch (options.profile) {
    case "docker":
      return dockerProfile(options, facts, network);
    case "containerd":
      return containerdProfile(options, facts);
    case "plain":
      return plainProfile(options, facts);
  }
}

/** The name, for commands that look for the instance, and for those inside. */
const named = ({ instance }: RunOptions): Environment => (instance === undefined ? {} : { RLKIT_INSTANCE: instance });

function targetEnvironment(env: Environment, stateDir: string, { ids }: HostFacts): string[] {
  return environmentList({
    ...env,
    ROOTLESSKIT_STATE_DIR: stateDir,
    ROOTLESSKIT_PARENT_EUID: String(ids.user.uid),
    ROOTLESSKIT_PARENT_EGID: String(ids.gid),
  });
}

/** Bytes of a Unix socket's path (unix(7)), without the NUL at its end. */
const MAX_SOCKET_PATH = 107;

/** Where the target says that it is ready; undefined where nobody waits for that, or where its path would be too long for it. */
function notifySocket({ supervision }: RunOptions, { daemon }: Profile, stateDir: string): string | undefined {
  const path = join(stateDir, "notify.sock");
  const isAwaited = daemon !== undefined || supervision.manager !== undefined;
  return isAwaited && Buffer.byteLength(path) <= MAX_SOCKET_PATH ? path : undefined;
}

const listenNotify = (path: string): Step => ({
  do: "listen-notify",
  path,
  why: "the target's NOTIFY_SOCKET: there it says when it is ready (sd_notify(3))",
});

/** After the cgroup namespace is made: it begins at the group that the processes leave. */
function evacuation({ evacuate }: RunOptions): Step[] {
  if (evacuate === undefined) return [];
  return [{ do: "evacuate-cgroup", name: evacuate, why: "a group without processes can hand its controllers on" }];
}

/** Before directories are copied up: the bind goes along to where they go. */
function detachedNetwork({ detachNetns }: RunOptions, stateDir: string, rootIsAnother: boolean): Step[] {
  if (!detachNetns) return [];
  if (rootIsAnother) {
    throw new RlkitError("USAGE", "--detach-netns does not go with maps in which root inside is not you outside", {
      hint: "leave --detach-netns out, or map 0 to your own id",
    });
  }
  return [
    inside(
      ["detach_netns", join(stateDir, "netns")],
      "what the target starts can be put into it; the target stays outside",
    ),
  ];
}

/** Whether the target, and init, leave the host's network namespace. */
const leavesHostNetwork = ({ detachNetns }: RunOptions, network: Network): boolean =>
  network.kind !== "host" && !detachNetns;

function namespaceFlags(options: RunOptions, network: Network): number {
  // The pid namespace is not among them: unshare(2) gives it to children only, and init must become its pid 1.
  const { uts, ipc, cgroup } = options.namespaces;
  return (
    Clone.user |
    Clone.mount |
    (leavesHostNetwork(options, network) ? Clone.net : 0) |
    ((uts ? Clone.uts : 0) | (ipc ? Clone.ipc : 0) | (cgroup ? Clone.cgroup : 0))
  );
}

function describeNamespaces(options: RunOptions, network: Network): string {
  const { uts, ipc, cgroup } = options.namespaces;
  const names = [
    "user",
    "mount",
    leavesHostNetwork(options, network) && "network",
    uts && "UTS",
    ipc && "IPC",
    cgroup && "cgroup",
  ];
  return `new namespaces: ${names.filter(Boolean).join(", ")}`;
}

function becomeRoot(maps: { uid: IdMap; gid: IdMap }, { ids }: HostFacts): Step[] {
  const startsAsRoot = (map: IdMap, own: number): boolean =>
    map.some((entry) => entry.inside === 0 && entry.outside === own);
  if (startsAsRoot(maps.uid, ids.user.uid) && startsAsRoot(maps.gid, ids.user.gid)) return [];
  return [inside(["set_ids", 0, 0], "the caller's own id is not root in these maps: become the id that is")];
}

function pidNamespace({ namespaces }: RunOptions): Step[] {
  if (!namespaces.pid) return [];
  return [
    inside(["unshare", Clone.pid], "a pid namespace for the processes from here on"),
    inside(["fork_pid1"], "init goes on as its pid 1"),
    inside(
      ["mount", "proc", "/proc", "proc", Mount.noSuid | Mount.noDev | Mount.noExec, ""],
      "the /proc of the new pid namespace",
      { onFailure: "warn" },
    ),
  ];
}
