import { readFileSync } from "node:fs";
import { RlkitError } from "../errors.ts";
import { rlkitNs } from "../native/paths.ts";

function sysctl(name: string): string | undefined {
  try {
    return readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").trim();
  } catch {
    return undefined; // this kernel doesn't have it, which is no obstacle
  }
}

const persist = (setting: string): string =>
  `sudo sysctl -w ${setting} && echo ${setting} | sudo tee /etc/sysctl.d/99-rlkit.conf`;

/** Why the kernel refused new namespaces, from the errno of unshare(2) and the settings that are known to cause it. */
export function explainUnshare(errno: string): RlkitError {
  const what = "cannot make a user namespace";
  if (errno === "ENOSPC") {
    const exhausted = sysctl("user.max_user_namespaces");
    const why =
      exhausted === "0"
        ? "user.max_user_namespaces is 0"
        : `the limit on namespaces is reached (user.max_user_namespaces is ${exhausted})`;
    return new RlkitError("USERNS", `${what}: ${why}`, { hint: persist("user.max_user_namespaces=28633") });
  }
  if (sysctl("kernel.unprivileged_userns_clone") === "0") {
    return new RlkitError("USERNS", `${what}: kernel.unprivileged_userns_clone is 0`, {
      hint: persist("kernel.unprivileged_userns_clone=1"),
    });
  }
  if (sysctl("kernel.apparmor_restrict_unprivileged_userns") === "1") {
    const path = rlkitNs();
    const profile = `abi <abi/4.0>, include <tunables/global> ${path} flags=(unconfined) { userns, }`;
    const file = `/etc/apparmor.d/${path.slice(1).replaceAll("/", ".")}`;
    return new RlkitError("USERNS", `${what}: AppArmor forbids it to ${path} (${errno})`, {
      hint: `echo '${profile}' | sudo tee ${file} && sudo systemctl restart apparmor`,
    });
  }
  return new RlkitError("USERNS", `${what}: ${errno}`, {
    hint: "in a container, start it with --security-opt seccomp=unconfined; in a chroot it is not possible",
  });
}
