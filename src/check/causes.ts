import type { RlkitError } from "../errors.ts";
import { installCommand, type Missing } from "../host/distribution.ts";
import type { Verdict as IdVerdict } from "../idmap/verdict.ts";
import type { Machine } from "./machine.ts";
import { asRoot, type Finding, type Fix, failure, inWords, warning } from "./requirement.ts";

/** The command that installs a package here, or what is to be done where nothing is known of the distribution. */
export function install({ distribution: { manager, name } }: Machine, missing: Missing, program: string): Fix {
  if (manager !== undefined) return asRoot(installCommand(manager, missing));
  return inWords("root", `install ${program} with the package manager of ${name}`);
}

/** Without sudo: in the block for root it has nothing to do. */
const withoutSudo = (command: string): string => command.replaceAll(/\bsudo /g, "");

/** A verdict about id maps as a finding; whatever its severity is for a run, here it is what keeps images from working. */
export function fromVerdict(tried: string, { text, fix, by, severity }: IdVerdict, isFatal = true): Finding {
  const mend: Fix = by === "outside" ? inWords(by, fix) : { who: by, lines: [withoutSudo(fix)] };
  return (severity === "error" || isFatal ? failure : warning)(tried, text, mend);
}

/** A known error as a finding. */
export const fromError = (tried: string, { message, hint }: RlkitError): Finding =>
  failure(tried, message, ...(hint === undefined ? [] : [inWords("root", hint)]));

/** How to start the container that this machine is: what each kind calls the thing that is missing. */
const parents = {
  namespaces: {
    docker: "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined …",
    podman: "podman run --security-opt seccomp=unconfined …",
    kubernetes:
      "in the pod's container: securityContext: {seccompProfile: {type: Unconfined}, appArmorProfile: {type: Unconfined}, allowPrivilegeEscalation: true}",
    lxc: "lxc config set CONTAINER security.nesting true",
  },
  proc: {
    docker: "docker run --security-opt systempaths=unconfined …",
    podman: "podman run --security-opt unmask=ALL …",
    kubernetes: "in the pod's container: securityContext: {procMount: Unmasked}, and in the pod: hostUsers: false",
    lxc: "lxc config set CONTAINER security.nesting true",
  },
  tun: {
    docker: "docker run --device /dev/net/tun …",
    podman: "podman run --device /dev/net/tun …",
    kubernetes: "in the pod: a hostPath volume of /dev/net/tun, or a device plugin that gives it",
    lxc: "lxc config device add CONTAINER tun unix-char path=/dev/net/tun mode=0666",
  },
} satisfies Readonly<Record<string, Readonly<Record<string, string>>>>;

/** What whoever starts the container is to change, so that it has namespaces, a proc or a tun device. */
export function parentFix(container: string, what: keyof typeof parents): Fix {
  const known: Readonly<Record<string, string>> = parents[what];
  return inWords(
    "outside",
    known[container] ?? `start this container with more: ${known.docker} (there: docker's words)`,
  );
}
