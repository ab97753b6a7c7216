import { RlkitError } from "../errors.ts";
import { persistSysctl, type Sysctl, sysctl } from "../host/sysctl.ts";
import { rlkitNs } from "../native/paths.ts";

/** Why new namespaces are refused, and what root can do about it: commands, none where there is no setting to change. */
export interface UnshareCause {
  why: string;
  lines: readonly string[];
}

/** Each kind of namespace has a limit of its own (namespaces(7)). */
const limits = ["user", "mnt", "net"].map((kind) => `user.max_${kind}_namespaces`);

/** Why unshare(2) failed with that errno, from the settings that are known to cause it. */
export function unshareCause(errno: string, setting: Sysctl, program: string): UnshareCause {
  if (errno === "ENOSPC") {
    const none = limits.find((name) => setting(name) === "0");
    const [first = ""] = limits;
    const why =
      none === undefined ? `the limit on namespaces is reached (${first} is ${setting(first)})` : `${none} is 0`;
    return { why, lines: persistSysctl(none ?? first, "28633") };
  }
  const clone = "kernel.unprivileged_userns_clone";
  if (setting(clone) === "0") return { why: `${clone} is 0`, lines: persistSysctl(clone, "1") };
  if (setting("kernel.apparmor_restrict_unprivileged_userns") === "1") {
    return { why: `AppArmor forbids it to ${program} (${errno})`, lines: appArmorProfile(program) };
  }
  return { why: errno, lines: [] };
}

/** A profile for this program alone: the switch of the whole machine would open user namespaces to every program. */
function appArmorProfile(program: string): string[] {
  const file = `/etc/apparmor.d/${program.slice(1).replaceAll("/", ".")}`;
  const profile = ["abi <abi/4.0>,", "include <tunables/global>", `${program} flags=(unconfined) {`, "  userns,", "}"];
  return [`printf '%s\\n' ${profile.map((line) => `'${line}'`).join(" ")} > ${file}`, `apparmor_parser -r ${file}`];
}

/** Why the kernel refused new namespaces, from the errno of unshare(2) and the settings that are known to cause it. */
export function explainUnshare(errno: string): RlkitError {
  const { why, lines } = unshareCause(errno, sysctl, rlkitNs());
  return new RlkitError("USERNS", `cannot make a user namespace: ${why}`, {
    hint:
      lines.length > 0
        ? `as root: ${lines.join(" && ")}`
        : "in a container, start it with --security-opt seccomp=unconfined; in a chroot it is not possible",
  });
}
