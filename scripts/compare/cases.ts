import { scenarios } from "./scenarios.ts";
import type { Subject, Transcript } from "./subject.ts";

/** One thing to be done with each of the two: a command line, or something with several steps. */
export interface Case {
  /** What it is, for the list of differences; unique. */
  readonly id: string;
  run(subject: Subject): Promise<Transcript>;
}

interface How {
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Before the program: `umask 027`. */
  readonly before?: string;
}

/** A command line of rootlesskit, as a shell reads it. */
function command(words: string, how: How = {}): Case {
  const id =
    how.before === undefined && how.env === undefined ? `rootlesskit ${words}`.trimEnd() : describe(words, how);
  return { id, run: (subject) => subject.shell(`${how.before ?? ":"}; rootlesskit ${words}`, how.env) };
}

const describe = (words: string, { env = {}, before = "" }: How): string =>
  [
    ...Object.entries(env).map(([name, value]) => `${name}=${value ?? "(unset)"}`),
    before && `${before};`,
    "rootlesskit",
    words,
  ]
    .filter(Boolean)
    .join(" ");

const commands = (...lines: string[]): Case[] => lines.map((line) => command(line));

const commandLine = commands(
  "",
  "--",
  "true",
  "-- true",
  "--pidns true",
  "-pidns true",
  "--pidns=true true",
  "--pidns=T true",
  "--pidns=1 true",
  "--pidns=0 true",
  "--pidns=FALSE true",
  "--pidns false",
  "--pidns=yes true",
  "--pidns= true",
  "--foo true",
  "-foo true",
  "---foo true",
  "-= true",
  "--=x true",
  "--mtu",
  "--mtu=x true",
  "--mtu= true",
  "--mtu=0x10 --net=host true",
  "--mtu=010 true",
  "--mtu=70000 true",
  "--mtu=-1 true",
  "--state-dir",
  "echo --pidns",
  "sh -c 'echo $0 $1' a --pidns",
  "echo -- a",
  "--copy-up-mode=x true",
  "--copy-up-mode=x --net=foo true",
  "--propagation=zzz true",
  "--propagation= true",
  "--reaper=true true",
  "--reaper=x true",
  "--reaper=false true",
  "--pidns --reaper=x true",
  "--evacuate-cgroup2=a true",
  "--evacuate-cgroup2=a --cgroupns true",
  "--evacuate-cgroup2=a --pidns true",
  "--evacuate-cgroup2=a/b --pidns --cgroupns true",
  "--subid-source=x true",
  "--subid-source=static id -u",
  "--subid-source=dynamic id -u",
  "--debug --foo true",
);

const validation = commands(
  "--net=foo true",
  "--net= true",
  "--net=foo --mtu=70000 true",
  "--net=foo",
  "--mtu=70000",
  "--net=host --cidr=10.0.0.0/24 true",
  "--net=host --ifname=eth0 true",
  "--net=none --cidr=10.0.0.0/24 true",
  "--net=none --ifname=eth0 true",
  "--net=slirp4netns --cidr=zz true",
  "--net=slirp4netns --cidr=10.0.2.100/24 true",
  "--net=slirp4netns --cidr=10.0.2.0/33 true",
  "--net=slirp4netns --ifname=a/b true",
  "--net=slirp4netns --slirp4netns-sandbox=q true",
  "--net=slirp4netns --slirp4netns-seccomp=q true",
  "--net=slirp4netns --slirp4netns-sandbox= --slirp4netns-seccomp= --disable-host-loopback true",
  "--net=slirp4netns --slirp4netns-sandbox=true --slirp4netns-seccomp=true --disable-host-loopback true",
  "--net=slirp4netns --slirp4netns-binary=/none/slirp --disable-host-loopback true",
  "--net=slirp4netns --port-driver=foo true",
  "--net=host --port-driver=builtin true",
  "--net=host --port-driver=slirp4netns true",
  "--net=none --port-driver=slirp4netns true",
  "--net=none --port-driver=builtin true",
  "-p 127.0.0.1:1:1/tcp true",
  "--publish=127.0.0.1:1:1/tcp true",
  "--net=slirp4netns --port-driver=builtin --disable-host-loopback -p 80 true",
  "--net=slirp4netns --port-driver=builtin --disable-host-loopback -p 80/tcp true",
  "--net=slirp4netns --port-driver=builtin --disable-host-loopback -p 0:1:2:3/tcp true",
  "--net=slirp4netns --port-driver=builtin --disable-host-loopback -p x:1:1/tcp true",
  "--net=slirp4netns --port-driver=builtin --disable-host-loopback -p 127.0.0.1:1:1/foo true",
  "--net=slirp4netns --port-driver=builtin --disable-host-loopback -p 127.0.0.1:99999:1/tcp true",
  "--net=slirp4netns --port-driver=builtin --disable-host-loopback -p 127.0.0.1:1:1/tcp true",
  "--state-dir=/proc/x true",
  "--copy-up=/none/such true",
  "--copy-up=/tmp true",
  "--copy-up=/etc --propagation=shared true",
  "--copy-up=/etc --propagation=rshared true",
);

const ends = commands(
  "sh -c 'exit 0'",
  "sh -c 'exit 1'",
  "sh -c 'exit 42'",
  "sh -c 'exit 255'",
  "sh -c 'kill -KILL $$'",
  "sh -c 'kill -TERM $$'",
  "sh -c 'kill -USR1 $$'",
  "sh -c 'kill -USR2 $$'",
  "sh -c 'kill -HUP $$'",
  "sh -c 'kill -PIPE $$'",
  "sh -c 'ulimit -c 0; kill -SEGV $$'",
  "--pidns sh -c 'exit 42'",
  "--pidns sh -c 'kill -KILL $$'",
  "--pidns --reaper=false sh -c 'exit 7'",
  "--pidns --reaper=true sh -c 'kill -TERM $$'",
  "no-such-command",
  "./no-such-command",
  "/none/such",
  "/etc/hostname",
  "/etc",
  "''",
  "--net=slirp4netns --disable-host-loopback sh -c 'exit 3'",
);

const inside = commands(
  "id -u",
  "id -g",
  "cat /proc/self/uid_map",
  "cat /proc/self/gid_map",
  "cat /proc/self/setgroups",
  "sh -c 'umask; pwd; ulimit -n'",
  "sh -c 'grep -E ^Cap /proc/self/status'",
  "sh -c 'ls /proc/self/fd | head -3'",
  "sh -c 'cat </dev/stdin' </dev/null",
  "sh -c 'echo to stderr >&2'",
  "sh -c 'test -d $ROOTLESSKIT_STATE_DIR && echo $ROOTLESSKIT_PARENT_EUID $ROOTLESSKIT_PARENT_EGID'",
  "sh -c 'ps -o pid= -p $$ >/dev/null && echo here'",
  "--pidns sh -c 'readlink /proc/self/ns/pid >/dev/null; test $$ -lt 100 && echo small'",
  "--pidns sh -c 'cat /proc/1/comm >/dev/null && echo mounted'",
  "--utsns sh -c 'hostname changed && hostname'",
  "--ipcns sh -c 'ipcs -q | wc -l'",
  "--net=none ls /sys/class/net",
  "--net=none cat /sys/class/net/lo/operstate",
  "--net=none sh -c 'ip -br address show lo'",
  "--net=slirp4netns --disable-host-loopback sh -c 'ip -o -4 address show tap0'",
  "--net=slirp4netns --disable-host-loopback ip -4 route",
  "--net=slirp4netns --disable-host-loopback cat /sys/class/net/tap0/mtu",
  "--net=slirp4netns --disable-host-loopback --mtu=1400 cat /sys/class/net/tap0/mtu",
  "--net=slirp4netns --disable-host-loopback --ifname=net0 cat /sys/class/net/net0/mtu",
  "--net=slirp4netns --disable-host-loopback --cidr=10.9.8.0/24 sh -c 'ip -o -4 address show tap0; ip route'",
  "--net=slirp4netns --disable-host-loopback --copy-up=/etc cat /etc/resolv.conf",
  "--net=slirp4netns --disable-host-loopback --copy-up=/etc --cidr=10.9.8.0/24 cat /etc/resolv.conf",
  "--net=slirp4netns --disable-host-loopback --copy-up=/etc sh -c 'tail -2 /etc/hosts'",
  "--copy-up=/etc stat -c '%a %u %g %F' /etc",
  "--copy-up=/etc,/run sh -c 'stat -f -c %T /etc /run'",
  "--copy-up=/etc --copy-up=/run sh -c 'stat -f -c %T /etc /run'",
  "--copy-up=/etc sh -c 'rm /etc/hostname && echo new >/etc/hostname && cat /etc/hostname'",
  "--copy-up=/etc sh -c 'cat /etc/hostname | wc -l'",
  "--copy-up=/etc readlink /etc/mtab",
  "sh -c 'findmnt -n -o PROPAGATION /'",
  "--propagation=private sh -c 'findmnt -n -o PROPAGATION /'",
  "--propagation=rslave sh -c 'findmnt -n -o PROPAGATION /'",
  "--propagation=rshared sh -c 'findmnt -n -o PROPAGATION /'",
  "sh -c 'mount -t tmpfs none /mnt && echo mounted'",
  "sh -c 'chown 1:1 $ROOTLESSKIT_STATE_DIR 2>&1 && stat -c %u $ROOTLESSKIT_STATE_DIR'",
);

const environment: Case[] = [
  command("sh -c 'echo $FOO'", { env: { FOO: "a b" } }),
  command("sh -c 'echo $ROOTLESSKIT_STATE_DIR | grep -c other'", { env: { ROOTLESSKIT_STATE_DIR: "/other" } }),
  command("sh -c 'echo $HOME $USER' | wc -w"),
  command("umask-of-the-command", { before: "umask 027" }),
  command("sh -c umask", { before: "umask 027" }),
  command("sh -c 'ulimit -n'", { before: "ulimit -n 321" }),
  command("pwd", { before: "cd /usr" }),
  command("true", { env: { TMPDIR: "/none" } }),
  command("sh -c 'exit 5'", { env: { NOTIFY_SOCKET: "/none" } }),
  command("sh -c 'echo $NOTIFY_SOCKET $WATCHDOG_USEC'", { env: { NOTIFY_SOCKET: "/run/x", WATCHDOG_USEC: "1000000" } }),
  command("sh -c 'echo $LISTEN_FDS $LISTEN_PID'", { env: { LISTEN_FDS: "x", LISTEN_PID: "1" } }),
  command("id -u", { env: { PATH: undefined } }),
  command("id -u", { env: { XDG_RUNTIME_DIR: undefined } }),
  command("id -u", { env: { HOME: undefined } }),
];

const rootlessctl = (words: string, env: Record<string, string | undefined> = {}): Case => ({
  id: `rootlessctl ${words}`.trimEnd(),
  run: (subject) => subject.shell(`rootlessctl ${words}`, { ROOTLESSKIT_STATE_DIR: undefined, ...env }),
});

const client = [
  ...["list-ports", "list-ports --json", "add-ports", "add-ports 80", "remove-ports", "remove-ports x", "info"],
  ...["--socket=/none list-ports", "--socket=/none info --json", "foo", "--foo", "list-ports --foo", "--socket"],
].map((words) => rootlessctl(words));

/** All cases. */
export const cases: readonly Case[] = [
  ...[...commandLine, ...validation, ...ends, ...inside, ...environment, ...client],
  ...scenarios,
];
