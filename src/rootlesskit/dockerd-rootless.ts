import { join } from "node:path";
import { printed } from "../output.ts";
import { runScript, type Script } from "./script.ts";

const script: Script = {
  profile: "docker",
  prefix: "DOCKERD_ROOTLESS_ROOTLESSKIT_",
  program: ({ DOCKERD }) => DOCKERD || "dockerd",
  // Its containerd would be used by this dockerd, too, from other namespaces.
  conflict: ({ CONTAINERD_ROOTLESS_ROOTLESSKIT_STATE_DIR: given, XDG_RUNTIME_DIR = "" }) =>
    given || join(XDG_RUNTIME_DIR, "containerd-rootless"),
};

/**
 * `dockerd-rootless.sh`, with dockerd's argv: the same variables and the same result, by way of rlkit's own profile for dockerd, so
 * that it is kept running and its containers outlive it. Resolves to the exit status.
 */
export async function dockerdRootless(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  if (!["check", "install", "uninstall"].includes(argv[0] ?? "")) return await runScript(script, argv, env);
  printed(`Did you mean 'dockerd-rootless-setuptool.sh ${argv.join(" ")}' ?\n`);
  return 1;
}
