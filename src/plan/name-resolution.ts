import { join } from "node:path";
import type { HostFacts } from "../host/facts.ts";
import { leadsOut, type Network, networkAddresses } from "../network/choose.ts";
import { resolvConfOf } from "../network/name-servers.ts";
import type { RunOptions } from "../options/run-options.ts";
import { inside } from "./inside.ts";
import { Mount, Open } from "./operations.ts";
import type { Step } from "./steps.ts";

/** What a run's files in /etc depend on. */
interface Surroundings {
  stateDir: string;
  facts: HostFacts;
  /** Directories that are copied up. */
  copiedUp: readonly string[];
  /** Root inside is not the caller outside, and so comes to no file in the state directory. */
  rootIsAnother: boolean;
}

/** A file to take the place of the one of that name in /etc; without content, it is written while the run starts. */
interface EtcFile {
  name: "resolv.conf" | "hosts";
  content: string | undefined;
  why: string;
}

/** resolv.conf and hosts of a network that leads out: in the state directory, and over those in /etc. */
export function nameResolution(
  { network, detachNetns }: RunOptions,
  chosen: Network,
  { stateDir, facts, copiedUp, rootIsAnother }: Surroundings,
): Step[] {
  if (!leadsOut(chosen)) return [];
  const { dns, dns6 } = networkAddresses(chosen, network) ?? {};
  const servers = [dns, dns6].filter((server) => server !== undefined);
  const files: EtcFile[] = [
    {
      name: "resolv.conf",
      content: servers.length === 0 ? undefined : resolvConfOf(servers), // the bridge's: await-lease has written it
      why: "the helper passes questions on to the host's DNS",
    },
    {
      name: "hosts",
      content: `${facts.hostsFile}\n127.0.0.1 ${facts.hostname}\n::1 ${facts.hostname}\n`,
      why: "the host's own, and its name for 127.0.0.1",
    },
  ];
  const written = files.flatMap(({ name, content, why }): Step[] =>
    content === undefined ? [] : [{ do: "write-state-file", name, content, why }],
  );
  if (detachNetns) return written;
  const etcIsCopied = copiedUp.includes("/etc");
  const over = rootIsAnother
    ? writtenInside(files, etcIsCopied)
    : files.flatMap((file) => overEtc(file, stateDir, etcIsCopied));
  return [...written, ...over];
}

const mountOn = (name: string, from: string, onFailure: "stop" | "warn", why: string): Step =>
  inside(["mount", join(from, name), join("/etc", name), "", Mount.bind, ""], why, { onFailure });

const unlinkCopy = (name: string): Step =>
  inside(["unlink", join("/etc", name)], "the link that copy-up made", { onFailure: "ignore" });

/** Onto the host's file itself: the mount goes when the host replaces its file, which a copied-up /etc does not mind. */
const untilReplaced = (name: string): string =>
  `/etc/${name} of this network (until the host replaces its own; --copy-up=/etc prevents that)`;

function overEtc({ name }: EtcFile, stateDir: string, etcIsCopied: boolean): Step[] {
  if (!etcIsCopied) return [mountOn(name, stateDir, "warn", untilReplaced(name))];
  return [
    unlinkCopy(name),
    inside(["mknod", join("/etc", name), 0o644], "a file to mount on"),
    mountOn(name, stateDir, "stop", `/etc/${name} of this network`),
  ];
}

const O_CREAT = 0o100; // of open(2)
/** Characters; what init takes at a time is a megabyte. With more, the host's file stays. */
const MAX_INSIDE = 128 * 1024;

/** The same for a root who can't come to the state directory: the files are written inside. */
function writtenInside(files: readonly EtcFile[], etcIsCopied: boolean): Step[] {
  const write = (name: string, to: string, content: string): Step =>
    inside(
      ["write_file", join(to, name), Open.writeOnly | O_CREAT, 0o644, content],
      `${name} once more: root inside may not look into the state directory`,
    );
  const steps = files.flatMap(({ name, content }) => {
    if (content === undefined || content.length > MAX_INSIDE) return [];
    if (etcIsCopied) return [unlinkCopy(name), write(name, "/etc", content)];
    return [write(name, "/tmp", content), mountOn(name, "/tmp", "warn", untilReplaced(name))];
  });
  if (etcIsCopied) return steps;
  return [
    inside(["mount", "none", "/tmp", "tmpfs", 0, ""], "a place for files, for the moment"),
    ...steps,
    inside(["umount", "/tmp", 0], "the own /tmp again; what is mounted from it stays"),
  ];
}
