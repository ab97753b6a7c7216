import { join } from "node:path";

/** Where a user's configuration lies: rlkit/config.json in XDG_CONFIG_HOME, or else ~/.config; undefined without a home. */
export function configPath(env: NodeJS.ProcessEnv): string | undefined {
  const directory = env.XDG_CONFIG_HOME || (env.HOME && join(env.HOME, ".config"));
  return directory ? join(directory, "rlkit", "config.json") : undefined;
}
