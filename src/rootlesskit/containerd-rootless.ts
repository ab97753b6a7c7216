import { runScript, type Script } from "./script.ts";

const script: Script = {
  profile: "containerd",
  prefix: "CONTAINERD_ROOTLESS_ROOTLESSKIT_",
  program: ({ CONTAINERD }) => CONTAINERD || "containerd",
  conflict: () => undefined,
};

/** `containerd-rootless.sh` of nerdctl, with containerd's argv: the same variables, directories and state directory. */
export const containerdRootless = (argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> =>
  runScript(script, argv, env);
