import { join } from "node:path";
import type { HostFacts } from "../host/facts.ts";
import type { RunOptions } from "../options/run-options.ts";
import { bind, inside } from "../plan/inside.ts";
import type { Step } from "../plan/steps.ts";
import type { Profile } from "./profile.ts";

/** containerd for nerdctl: what nerdctl's containerd-rootless.sh does for it. */
export function containerdProfile(options: RunOptions, facts: HostFacts): Profile {
  const { session } = facts;
  if (session === undefined) throw new Error("the containerd profile needs the user's session");
  const { home, runtimeDir } = session;
  const { XDG_DATA_HOME: data, XDG_CONFIG_HOME: config } = options.env;
  const own = [
    [join(runtimeDir.path, "containerd"), "/run/containerd"],
    [join(data || join(home, ".local", "share"), "containerd"), "/var/lib/containerd"],
    [join(data || join(home, ".local", "share"), "cni"), "/var/lib/cni"],
    [join(config || join(home, ".config"), "containerd"), "/etc/containerd"],
  ] as const;
  return {
    stateDir: options.stateDir ?? join(runtimeDir.path, "containerd-rootless"),
    command: options.command,
    env: { ...options.env, HOME: home, XDG_RUNTIME_DIR: runtimeDir.path },
    prepare: own.map(([path]) => ({ do: "make-private-dir", path, why: "the user's own, for containerd" })),
    steps: [
      ...["/run/nri", "/run/xtables.lock"].map((path) =>
        inside(["unlink", path], "a link to root's, which this one can't use", { onFailure: "ignore" }),
      ),
      ...own.flatMap(([from, to]) => inPlaceOf(from, to)),
    ],
    clientEnv: { XDG_RUNTIME_DIR: runtimeDir.path },
    daemon: { socket: undefined, liveRestore: undefined },
    notes: [],
  };
}

/** A directory of the user's where containerd looks for root's. */
function inPlaceOf(from: string, to: string): Step[] {
  return [
    inside(["unlink", to], "a link to root's", { onFailure: "ignore" }),
    inside(["mkdir", to, 0o755], "to mount on", { onFailure: "ignore" }),
    inside(bind(from, to), "the user's own, where containerd looks for it"),
  ];
}
