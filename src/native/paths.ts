import { join } from "node:path";

/** Where the runnable tree lies: `dist/`, found from the bundle in `dist/lib/` (RLKIT_HOME names another one). */
export function home(): string {
  return process.env.RLKIT_HOME ?? join(__dirname, "..");
}

/** The native helper: the only executable of rlkit that makes or enters namespaces (AppArmor allows those per path). */
export const rlkitNs = (): string => join(home(), "libexec", "rlkit-ns");

/** rlkit, and the other names that it goes by. */
export const binPath = (): string => join(home(), "bin");

/** A directory with nothing but the programs that a target looks for on its PATH (`rootlesskit-docker-proxy`). */
export const targetPath = (): string => join(home(), "libexec");

/** The texts of `rlkit help TOPIC`. */
export const topicsPath = (): string => join(home(), "share", "rlkit", "topics");

/** A directory for MANPATH. */
export const manPath = (): string => join(home(), "share", "man");
