import { installCommand, type Missing } from "../host/distribution.ts";
import type { Machine } from "../host/machine.ts";

/** A thing that is missing: what it is, for a comment, and the lines that root has to run. */
export interface Instruction {
  about: string;
  lines: readonly string[];
}

/** What is missing on a machine, and what that means for iptables. */
export interface Requirements {
  instructions: Instruction[];
  /** Without a way to mend it: the distribution is none that is known here. */
  hopeless: string | undefined;
  /** iptables can't be used as it is. */
  noIptables: boolean;
}

/** The package managers that Docker's tool knows, in the order in which it looks for them. */
const managers = ["apt-get", "dnf", "yum"] as const;

/** Docker's checks of a machine, in the order and words of its own tool; where that goes by files, iptables is tried instead. */
export function requirements(machine: Machine, skipIptables: boolean, tryIptables: () => boolean): Requirements {
  const found: Requirements = { instructions: [], hopeless: undefined, noIptables: false };
  const manager = managers.find((each) => machine.has(each));
  const install = (what: string, program: Missing): void => {
    if (manager === undefined) found.hopeless ??= `${program} binary not found. Please install with a package manager.`;
    else found.instructions.push({ about: what, lines: [installCommand(manager, program)] });
  };

  if (!machine.has("newuidmap")) install("Install newuidmap & newgidmap binaries", "newuidmap");
  const iptables = "iptables";
  if (!machine.has(iptables)) {
    found.noIptables = true;
    if (!skipIptables) install("Install iptables", iptables);
  } else if (found.instructions.length === 0 && !tryIptables()) {
    found.noIptables = true;
    const isLegacy = machine.run([iptables, "--version"]).output.includes("legacy");
    const module = isLegacy ? "ip_tables" : "nf_tables";
    if (!skipIptables) found.instructions.push({ about: `Load ${module} module`, lines: [`modprobe ${module}`] });
  }
  found.instructions.push(...kernelSettings(machine), ...subIds(machine));
  return found;
}

function kernelSettings({ read }: Machine): Instruction[] {
  const persist = (about: string, file: string, setting: string): Instruction => ({
    about: `Set ${about}`,
    lines: [`cat <<EOT > /etc/sysctl.d/${file}`, setting, "EOT", "sysctl --system"],
  });
  const found: Instruction[] = [];
  const clone = read("/proc/sys/kernel/unprivileged_userns_clone");
  if (clone !== undefined && clone.trim() !== "1") {
    const name = "kernel.unprivileged_userns_clone";
    found.push(persist(name, "50-rootless.conf", `${name} = 1`));
  }
  if (read("/proc/sys/user/max_user_namespaces")?.trim() === "0") {
    const name = "user.max_user_namespaces";
    found.push(persist(name, "51-rootless.conf", `${name} = 28633`));
  }
  return found;
}

function subIds(machine: Machine): Instruction[] {
  const { name, uid } = machine.user;
  return (["uid", "gid"] as const).flatMap((kind) => {
    const ask = (who: string): boolean =>
      machine.run(["getsubids", ...(kind === "gid" ? ["-g"] : []), who]).status === 0;
    const lines = machine.read(`/etc/sub${kind}`)?.split("\n") ?? [];
    const isThere = machine.has("getsubids")
      ? ask(name) || ask(String(uid))
      : lines.some((line) => line.startsWith(`${name}:`) || line.startsWith(`${uid}:`));
    if (isThere) return [];
    return [{ about: `Add sub${kind} entry for ${name}`, lines: [`echo "${name}:100000:65536" >> /etc/sub${kind}`] }];
  });
}

/** The block that root is to run. */
export function rootScript(instructions: readonly Instruction[]): string {
  const lines = instructions.flatMap(({ about, lines: each }) => [`# ${about}`, ...each]);
  return [
    "",
    "########## BEGIN ##########",
    "sudo sh -eux <<EOF",
    ...lines,
    "EOF",
    "########## END ##########",
    "",
  ].join("\n");
}
