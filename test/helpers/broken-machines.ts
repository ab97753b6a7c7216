/** One thing that is wrong with a machine: made by a script, found by `rlkit check`, mended by what that prints. */
export interface Broken {
  readonly name: string;
  /**
   * Shell script that root runs in a mount namespace of its own, where /etc, /usr, /run and dpkg's state are throw-away copies
   * (`overlay DIRECTORY` makes another). It knows $NAME, $ID, $HOME and $RUN of the user, and `hide PACKAGE PROGRAM…`: as if the package were not installed.
   */
  readonly script?: string;
  /** In a user namespace of its own, where limits can be set; there only /etc is a copy. */
  readonly inUserNamespace?: true;
  /** Lines for /etc/subuid and /etc/subgid; useradd's own without this. `false`: a uid without a name. */
  readonly subids?: { readonly uid?: string; readonly gid?: string } | false;
  /** Variables of the user's login; undefined removes one. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Words before the command that the user runs. */
  readonly before?: readonly string[];
  /** The only requirement that is not met, and what of the sentence says why. */
  readonly id: string;
  readonly says: string | RegExp;
  /** In what is to be done, where that is not a command. */
  readonly words?: string;
  /** Whose commands mend it here; undefined where words or another machine are needed. */
  readonly mends?: "root" | "user";
}

const all = { uid: "$NAME:700000:65536", gid: "$NAME:700000:65536" };
const stub = (path: string, script: string): string =>
  `rm -f ${path}; printf '#!/bin/sh\\n%s\\n' '${script}' > ${path}; chmod 755 ${path}`;
const bindHome = "mkdir -p $HOME/.local/share; mount --bind $HOME/.local $HOME/.local";
const pastaHelp = "--config-net --ns-ifname --dns-forward --pid";

export const brokenMachines: readonly Broken[] = [
  {
    name: "a kernel that is too old",
    before: ["setarch", "--uname-2.6"],
    id: "kernel",
    says: "is older than 5.3",
  },
  { name: "no sub-ids", subids: {}, id: "subids", says: "has no subordinate uids", mends: "root" },
  {
    name: "no sub-gids",
    subids: { uid: all.uid },
    id: "subids",
    says: "no subordinate gids in /etc/subgid",
    mends: "root",
  },
  {
    name: "too few sub-ids",
    subids: { uid: "$NAME:700000:1000", gid: all.gid },
    id: "subids",
    says: "only 1000 subordinate uids",
    mends: "root",
  },
  {
    name: "no /etc/subuid and no /etc/subgid",
    script: "rm /etc/subuid /etc/subgid",
    id: "subids",
    says: "no such file",
    mends: "root",
  },
  {
    name: "a line of /etc/subuid that is none",
    subids: { uid: "$NAME:700000", gid: all.gid },
    id: "subids",
    says: /\/etc\/subuid line \d+: /,
  },
  {
    name: "sub-ids from a directory service that has none",
    subids: {},
    script: "echo 'subid: sss' >> /etc/nsswitch.conf",
    id: "subids",
    says: "as getsubids (sss) gave none",
  },
  {
    name: "sub-ids that this container does not have",
    inUserNamespace: true,
    subids: { uid: "$NAME:4294900000:65536", gid: "$NAME:4294900000:65536" },
    id: "subids",
    says: "do not exist in this user namespace",
  },
  { name: "a uid without a name", subids: false, id: "user", says: "has no passwd entry", mends: "root" },
  {
    name: "no home directory",
    env: { HOME: "/run/no-such-home" },
    id: "user",
    says: "the home directory /run/no-such-home does not exist",
    mends: "root",
  },
  {
    name: "a process that gets no privileges",
    before: ["setpriv", "--no-new-privs"],
    id: "no-new-privs",
    says: "no_new_privs is set",
  },
  {
    name: "no newuidmap and newgidmap",
    script: "hide uidmap newuidmap newgidmap",
    id: "newuidmap",
    says: "newuidmap and newgidmap not found on PATH",
    mends: "root",
  },
  {
    name: "no newgidmap",
    script: "hide uidmap newgidmap",
    id: "newuidmap",
    says: "newgidmap not found on PATH",
    mends: "root",
  },
  {
    name: "newuidmap and newgidmap without the setuid bit",
    script: "chmod u-s /usr/bin/newuidmap /usr/bin/newgidmap",
    id: "newuidmap",
    says: "/usr/bin/newuidmap has neither the setuid bit",
    mends: "root",
  },
  {
    name: "newuidmap that is setuid to the user",
    script: "chown $ID /usr/bin/newuidmap; chmod 4755 /usr/bin/newuidmap",
    id: "newuidmap",
    says: /newuidmap is setuid, but to uid \d+/,
    mends: "root",
  },
  {
    name: "programs on a mount without setuid",
    script: "mount -o remount,nosuid /usr",
    id: "newuidmap",
    says: "/usr, which is mounted nosuid",
    mends: "root",
  },
  ...["user", "net", "mnt"].map(
    (kind): Broken => ({
      name: `user.max_${kind}_namespaces=0`,
      inUserNamespace: true,
      script: `echo 0 > /proc/sys/user/max_${kind}_namespaces`,
      id: "user-namespace",
      says: `user.max_${kind}_namespaces is 0`,
      mends: "root",
    }),
  ),
  {
    name: "a chroot",
    before: ["chroot"],
    id: "user-namespace",
    says: "cannot make a user namespace: EPERM",
  },
  {
    name: "newuidmap that refuses",
    script: stub("/usr/bin/newuidmap", "echo newuidmap: not today >&2; exit 1").replace("chmod 755", "chmod 4755"),
    id: "id-map",
    says: "not today",
  },
  {
    name: "a part of /proc that is covered",
    script: "mount --bind /dev/null /proc/version",
    id: "mounts",
    says: "cannot mount proc in a new pid namespace: EPERM",
    words: "findmnt --submounts /proc",
  },
  {
    name: "a container whose /proc is masked",
    env: { container: "docker" },
    script: "mount --bind /dev/null /proc/version",
    id: "mounts",
    says: "cannot mount proc in a new pid namespace: EPERM",
    words: "docker run --security-opt systempaths=unconfined",
  },
  {
    name: "a container without /dev/net/tun",
    env: { container: "podman" },
    script: "mount -t tmpfs none /dev/net",
    id: "tun",
    says: "there is no /dev/net/tun",
    words: "podman run --device /dev/net/tun",
  },
  {
    name: "no /dev/net/tun",
    script: "mount -t tmpfs none /dev/net",
    id: "tun",
    says: "there is no /dev/net/tun",
    mends: "root",
  },
  {
    name: "a /dev/net/tun that is not for users",
    script: "mount -t tmpfs none /dev/net; mknod -m 0600 /dev/net/tun c 10 200",
    id: "tun",
    says: "/dev/net/tun can't be opened by this user",
    mends: "root",
  },
  {
    name: "a /dev/net/tun without a driver",
    script: "mount -t tmpfs none /dev/net; mknod -m 0666 /dev/net/tun c 10 199",
    id: "tun",
    says: /\/dev\/net\/tun can't be opened \(ENODEV|ENXIO\)/,
  },
  {
    name: "no network helper",
    script: "hide passt pasta passt; hide slirp4netns slirp4netns",
    id: "network-helper",
    says: "pasta is not on PATH",
    mends: "root",
  },
  {
    name: "a pasta that does not start, and nothing else",
    script: `hide slirp4netns slirp4netns; ${stub("/usr/bin/pasta", `[ "$1" = --help ] && echo "${pastaHelp}" && exit; echo no luck today >&2; exit 1`)}`,
    id: "network-helper",
    says: "no luck today",
    mends: "root",
  },
  {
    name: "no iptables",
    script: "hide iptables iptables",
    id: "iptables",
    says: "iptables not found",
    mends: "root",
  },
  {
    name: "an iptables that does not work",
    script: `hide iptables iptables; ${stub("/usr/sbin/iptables", '[ "$1" = --version ] && echo "iptables v1.8.9 (nf_tables)" && exit; echo iptables: broken >&2; exit 3')}`,
    id: "iptables",
    says: "iptables: broken",
    mends: "root",
  },
  {
    name: "the old iptables, for which the kernel has nothing",
    script: `ln -sf /usr/sbin/iptables-legacy /etc/alternatives/iptables; ${stub("/usr/sbin/iptables-legacy", '[ "$1" = --version ] && echo "iptables v1.8.9 (legacy)" && exit; echo can not initialize iptables table >&2; exit 3')}`,
    id: "iptables",
    says: "the kernel has nftables",
    mends: "root",
  },
  {
    name: "a daemon.json that is no JSON",
    script: "mkdir -p $HOME/.config/docker; echo '{,}' > $HOME/.config/docker/daemon.json; chown -R $ID $HOME/.config",
    id: "daemon-json",
    says: "daemon.json: ",
  },
  {
    name: "a data root of root's",
    script: "mkdir -m 0755 $HOME/.local",
    id: "data-root",
    says: /EACCES in .*\/\.local$/,
    mends: "root",
  },
  {
    name: "a read-only data root",
    script: `${bindHome}; chown -R $ID $HOME/.local; mount -o remount,bind,ro $HOME/.local`,
    id: "data-root",
    says: "EROFS",
    mends: "root",
  },
  {
    name: "a full data root",
    script:
      "mkdir $HOME/.local; mount -t tmpfs -o size=64k none $HOME/.local; chown $ID $HOME/.local; cat /dev/zero > $HOME/.local/all 2>/dev/null || true",
    id: "data-root",
    says: "ENOSPC",
  },
  {
    name: "a data root without programs",
    script: `${bindHome}; chown -R $ID $HOME/.local; mount -o remount,bind,noexec $HOME/.local`,
    id: "data-root",
    says: "is mounted noexec",
    mends: "root",
  },
  {
    name: "a data root in memory",
    script: "mkdir $HOME/.local; mount -t tmpfs none $HOME/.local; chown $ID $HOME/.local",
    id: "data-root",
    says: "(tmpfs) is in memory",
  },
  {
    name: "a data root that daemon.json puts elsewhere",
    script:
      'mkdir -p $HOME/.config/docker; echo \'{"data-root": "/data-of-root"}\' > $HOME/.config/docker/daemon.json; chown -R $ID $HOME/.config',
    id: "data-root",
    says: "EACCES in /$",
  },
  {
    name: "a file system that takes no overlay, without fuse-overlayfs",
    script: "overlay $HOME; hide fuse-overlayfs fuse-overlayfs",
    id: "storage-driver",
    says: "nothing but vfs works here",
    mends: "root",
  },
  {
    name: "a file system that takes no overlay, and a /dev/fuse that is not for users",
    script: "overlay $HOME; mknod -m 0600 /mnt/fuse c 10 229; mount --bind /mnt/fuse /dev/fuse",
    id: "storage-driver",
    says: "/dev/fuse can't be opened (EACCES)",
    mends: "root",
  },
  {
    name: "XDG_RUNTIME_DIR that is not there",
    env: { XDG_RUNTIME_DIR: "/run/user/none" },
    id: "runtime-dir",
    says: "which is not a directory",
    mends: "user",
  },
  {
    name: "XDG_RUNTIME_DIR of the one who called su",
    env: { XDG_RUNTIME_DIR: "/run/user/0" },
    script: "mkdir -p -m 0700 /run/user/0",
    id: "runtime-dir",
    says: "/run/user/0, which belongs to uid 0",
    mends: "user",
  },
  {
    name: "XDG_RUNTIME_DIR that is open to others",
    script: "chmod 0755 $RUN",
    id: "runtime-dir",
    says: "which others can enter (mode 0755)",
    mends: "user",
  },
  {
    name: "su on a host with systemd",
    env: { XDG_RUNTIME_DIR: undefined },
    script: "mkdir -p /run/systemd/system; rmdir $RUN",
    id: "runtime-dir",
    says: "a shell of su or sudo, which is no login session",
  },
  {
    name: "a host with systemd, and no systemd of the user's",
    script: "mkdir -p /run/systemd/system",
    id: "systemd-user",
    says: "no systemd runs for",
  },
  {
    name: "no lingering",
    script: `mkdir -p /run/systemd/system; ${stub("/usr/bin/systemctl", "exit 0")}; ${stub("/usr/bin/loginctl", "mkdir -p /var/lib/systemd/linger; touch /var/lib/systemd/linger/$2")}; mkdir -p /var/lib/systemd; mount -t tmpfs none /var/lib/systemd`,
    id: "linger",
    says: "the daemon ends at logout",
    mends: "root",
  },
  {
    name: "no dockerd",
    script: "hide docker.io dockerd",
    id: "dockerd",
    says: "dockerd not found",
    mends: "root",
  },
  {
    name: "no runc",
    script: "hide docker.io runc",
    id: "dockerd",
    says: "runc not found",
    mends: "root",
  },
  {
    name: "a dockerd that does not run",
    script: `hide docker.io dockerd; ${stub("/usr/sbin/dockerd", "echo dockerd: wrong machine >&2; exit 1")}`,
    id: "dockerd",
    says: "wrong machine",
    mends: "root",
  },
  {
    name: "DOCKER_HOST of another daemon",
    env: { DOCKER_HOST: "unix:///var/run/docker.sock" },
    id: "docker-client",
    says: "DOCKER_HOST is unix:///var/run/docker.sock",
    mends: "user",
  },
  {
    name: "a rootful daemon that the user may talk to",
    script: "rm -f /run/docker.sock; touch /run/docker.sock; chmod 0666 /run/docker.sock",
    id: "docker-client",
    says: "talks to the rootful daemon",
    mends: "user",
  },
];
