import { RlkitError } from "../errors.ts";

/**
 * The name of an instance: what `--instance` says, or RLKIT_INSTANCE; undefined for the one without a name. Throws a USAGE error for what
 * can't be part of a file's name and of a unit's.
 */
export function instanceName(given: unknown, env: NodeJS.ProcessEnv): string | undefined {
  const name = (given as string | undefined) ?? (env.RLKIT_INSTANCE || undefined);
  if (name === undefined || /^[A-Za-z0-9][\w.-]{0,31}$/.test(name)) return name;
  const from = given === undefined ? `RLKIT_INSTANCE=${name}` : `--instance=${name}`;
  throw new RlkitError("USAGE", `${from} is no name of an instance`, {
    hint: "use up to 32 letters, digits, _ . and -, a letter or a digit first",
  });
}
