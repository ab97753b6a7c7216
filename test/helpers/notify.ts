import { join } from "node:path";
import { ROOT, start } from "./run.ts";
import { until } from "./wait.ts";

const RECEIVER = join(import.meta.dirname, "..", "fixtures", "notify-receiver.pl");

/** One datagram of sd_notify(3). */
interface Notification {
  /** Of the sender, as the kernel tells it. */
  readonly pid: number;
  readonly text: string;
  /** The assignments in it. */
  readonly values: Readonly<Record<string, string>>;
}

/** What a service manager is to those that it starts: a socket on which they tell how they are. */
export interface ServiceManager extends AsyncDisposable {
  /** For NOTIFY_SOCKET. */
  readonly socket: string;
  /** What came so far, oldest first. */
  readonly got: readonly Notification[];
  /** How many messages with this assignment came: `count("WATCHDOG=1")`. */
  count(assignment: string): number;
  /** The values of one variable, in the order in which they came. */
  values(name: string): string[];
}

/** Starts one at a path, or in the abstract namespace (`@…`). */
export async function serviceManager(socket: string): Promise<ServiceManager> {
  const receiver = start(ROOT, ["perl", RECEIVER, socket]);
  await until(() => receiver.stdout.startsWith("ready\n"), { what: `a receiver at ${socket}: ${receiver.stderr}` });
  const got = () => receiver.stdout.split("\n").slice(1, -1).map(notification);
  return {
    socket,
    get got() {
      return got();
    },
    count: (assignment) => got().filter(({ text }) => text.split("\n").includes(assignment)).length,
    values: (name) => got().flatMap(({ values }) => (values[name] === undefined ? [] : [values[name]])),
    [Symbol.asyncDispose]: () => receiver[Symbol.asyncDispose](),
  };
}

function notification(line: string): Notification {
  const [pid, hex = ""] = line.split(" ");
  const text = Buffer.from(hex, "hex").toString();
  const values = text.split("\n").map((each) => [each.slice(0, each.indexOf("=")), each.slice(each.indexOf("=") + 1)]);
  return { pid: Number(pid), text, values: Object.fromEntries(values) };
}

/** A command for a shell that tells `$NOTIFY_SOCKET` something, as systemd-notify(1) would: perl-base has all it needs. */
export const notifies = (message: string): string =>
  `perl -MSocket -e 'socket(S, AF_UNIX, SOCK_DGRAM, 0); ($n = $ENV{NOTIFY_SOCKET}) =~ s/^@/\\0/;` +
  ` send(S, $ARGV[0], 0, pack_sockaddr_un($n)) or die "send: $!"' '${message}'`;
