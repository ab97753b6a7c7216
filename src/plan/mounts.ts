import type { HostFacts } from "../host/facts.ts";
import { leadsOut, type Network } from "../network/choose.ts";
import type { Propagation, RunOptions } from "../options/run-options.ts";
import { bind, inside, move } from "./inside.ts";
import { Mount } from "./operations.ts";
import type { Step } from "./steps.ts";

const flags: Record<Propagation, number> = {
  private: Mount.private,
  rprivate: Mount.private | Mount.recursive,
  slave: Mount.slave,
  rslave: Mount.slave | Mount.recursive,
  shared: Mount.shared,
  rshared: Mount.shared | Mount.recursive,
};

const reasons: Record<"private" | "slave" | "shared", string> = {
  private: "mounts of the host made later don't appear inside",
  slave: "mounts of the host made later appear inside, not the other way round",
  shared: "mounts inside appear in namespaces made from this one",
};

/** The propagation of / and, for the r-forms, of all below it (mount_namespaces(7)). */
export function propagation(kind: Propagation | undefined): Step[] {
  if (kind === undefined) return [];
  const base = kind.replace(/^r/, "") as keyof typeof reasons;
  return [inside(["mount", "none", "/", "", flags[kind], ""], `${kind}: ${reasons[base]}`)];
}

const sysFlags = Mount.noSuid | Mount.noDev | Mount.noExec;

/** /sys of the new network namespace, with the cgroup tree kept in its place; the cgroup namespace's own tree. */
export function kernelFileSystems(options: RunOptions, facts: HostFacts, network: Network): Step[] {
  const steps: Step[] = [];
  if (leadsOut(network)) {
    steps.push(
      inside(bind("/sys/fs/cgroup", "/tmp"), "keep the cgroup tree while /sys is replaced", { onFailure: "warn" }),
      inside(["mount", "sysfs", "/sys", "sysfs", sysFlags, ""], "/sys shows the new network namespace's interfaces", {
        onFailure: "ignore",
      }),
      inside(
        ["mount", "sysfs", "/sys", "sysfs", sysFlags | Mount.readOnly, ""],
        "read-only, if it can't be had writable",
        {
          onFailure: "warn",
          ifFailed: true,
        },
      ),
      inside(move("/tmp", "/sys/fs/cgroup"), "the cgroup tree back to its place", { onFailure: "warn" }),
    );
  }
  const { evacuate, namespaces } = options;
  if (evacuate !== undefined && !leadsOut(network)) {
    steps.push(
      inside(["mount", "none", "/sys/fs/cgroup", "tmpfs", sysFlags, ""], "a place for it", { onFailure: "warn" }),
    );
  }
  if (namespaces.cgroup && (facts.cgroup2 || evacuate !== undefined)) {
    steps.push(
      inside(["mount", "cgroup2", "/sys/fs/cgroup", "cgroup2", sysFlags, ""], "the cgroup namespace's own tree", {
        onFailure: "warn",
      }),
    );
  }
  return steps;
}
