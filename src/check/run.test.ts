import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { RlkitError } from "../errors.ts";
import { type MadeUp, madeUpMachine, someIds } from "./made-up-machine.ts";
import { rootLines } from "./print.ts";
import type { Checked } from "./requirement.ts";
import { check, isGood, requirements } from "./run.ts";

const wrong = (results: readonly Checked[]): Checked[] =>
  results.filter(({ verdict }) => verdict === "failure" || verdict === "warning");

interface Cause {
  name: string;
  machine: MadeUp;
  /** The only requirement that is not met. */
  id: string;
  verdict?: "warning";
  /** In the sentence that names the cause. */
  says: string | RegExp;
  /** What root is to run, line by line. */
  root?: readonly string[];
  /** What the user is to run. */
  user?: readonly string[];
  /** In the words for whoever else, or for root or the user where there is no command. */
  words?: string | RegExp;
}

const FEDORA = "ID=fedora\n";
const ROCKY = 'ID="rocky"\nID_LIKE="rhel centos fedora"\n';
const ALPINE = "ID=alpine\n";
const ARCH = "ID=arch\n";
const SUSE = 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n';
const CENTOS7 = 'ID="centos"\nID_LIKE="rhel fedora"\nVERSION_ID="7"\n';

const tool = (name: string, changes: object) => ({
  [name]: {
    path: `/usr/bin/${name}`,
    owner: 0,
    setuid: true,
    capability: undefined,
    nosuidMount: undefined,
    ...changes,
  },
});
const noSystemd = { "/run/systemd/system": undefined };
const sysctl = (setting: string): string[] => [
  `echo ${setting} >> /etc/sysctl.d/60-rlkit.conf`,
  "sysctl -p /etc/sysctl.d/60-rlkit.conf",
];
const iptablesFails = { status: 3, output: "iptables: Failed to initialize nft: Protocol not supported\n" };
const legacy = { "/usr/bin/iptables --version": { status: 0, output: "iptables v1.8.9 (legacy)" } };
const noUnit = { status: 1, output: "Failed to connect to bus: No such file or directory" };
const noOverlay = { driver: "vfs", refused: ["overlay2: EPERM", "btrfs: not a btrfs file system"] } as const;

const causes: readonly Cause[] = [
  {
    name: "a kernel without pidfds",
    machine: { kernel: "4.19.0-27-amd64" },
    id: "kernel",
    says: "Linux 4.19.0-27-amd64 is older than 5.3",
    words: "newer kernel",
  },
  {
    name: "a uid without passwd entry",
    machine: { name: undefined, ids: { user: { name: undefined, uid: 1000, gid: 1000 } } },
    id: "user",
    says: "uid 1000 has no passwd entry",
    root: ["useradd --uid 1000 --no-create-home u1000"],
  },
  {
    name: "no home directory",
    machine: { home: "/home/gone" },
    id: "user",
    says: "the home directory /home/gone does not exist",
    root: ["mkdir -p /home/gone && chown 1000 /home/gone && chmod 0700 /home/gone"],
  },
  {
    name: "a shell of newgrp",
    machine: { ids: { gid: 27 } },
    id: "user",
    verdict: "warning",
    says: "group 27, not alice's primary group 1000",
    user: ['newgrp "$(id -gn 1000)"'],
  },
  {
    name: "no_new_privs",
    machine: { ids: { noNewPrivs: true } },
    id: "no-new-privs",
    says: "no_new_privs is set on this process",
    words: "NoNewPrivileges=",
  },
  {
    name: "no_new_privs in a pod",
    machine: { ids: { noNewPrivs: true }, container: "kubernetes" },
    id: "no-new-privs",
    says: "no_new_privs",
    words: "allowPrivilegeEscalation: true",
  },
  ...(
    [
      ["Debian", undefined, "apt-get install -y uidmap"],
      ["Fedora", FEDORA, "dnf install -y shadow-utils"],
      ["openSUSE", SUSE, "zypper --non-interactive install shadow"],
      ["Arch", ARCH, "pacman -S --noconfirm --needed shadow"],
      ["Alpine", ALPINE, "apk add shadow-uidmap"],
    ] as const
  ).map(
    ([distribution, osRelease, line]): Cause => ({
      name: `no newuidmap on ${distribution}`,
      machine: { ids: { newuidmap: undefined, newgidmap: undefined }, ...(osRelease && { osRelease }) },
      id: "newuidmap",
      says: "newuidmap and newgidmap not found on PATH",
      root: [line],
    }),
  ),
  {
    name: "no newuidmap on CentOS 7",
    machine: { ids: { newuidmap: undefined, newgidmap: undefined }, osRelease: CENTOS7, missing: ["dnf"] },
    id: "newuidmap",
    says: "not found on PATH",
    root: ["yum install -y shadow-utils"],
  },
  {
    name: "no newuidmap, on nobody's distribution",
    machine: {
      ids: { newuidmap: undefined },
      osRelease: 'ID=mine\nPRETTY_NAME="My Linux"\n',
      missing: ["apt-get", "dnf", "yum", "zypper", "pacman", "apk"],
    },
    id: "newuidmap",
    says: "newuidmap not found",
    words: "install newuidmap with the package manager of My Linux",
  },
  {
    name: "newuidmap and newgidmap without privileges",
    machine: {
      ids: {
        ...tool("newuidmap", { setuid: false, capability: false }),
        ...tool("newgidmap", { setuid: false, capability: false }),
      },
    },
    id: "newuidmap",
    says: "/usr/bin/newuidmap has neither the setuid bit nor the file capability",
    root: ["chmod u+s /usr/bin/newuidmap", "chmod u+s /usr/bin/newgidmap"],
  },
  {
    name: "newgidmap that is setuid to somebody",
    machine: { ids: tool("newgidmap", { owner: 1000 }) },
    id: "newuidmap",
    says: "/usr/bin/newgidmap is setuid, but to uid 1000",
    root: ["chown root /usr/bin/newgidmap && chmod u+s /usr/bin/newgidmap"],
  },
  {
    name: "newuidmap on a mount without setuid",
    machine: { ids: { ...tool("newuidmap", { nosuidMount: "/usr" }), ...tool("newgidmap", { nosuidMount: "/usr" }) } },
    id: "newuidmap",
    says: "/usr/bin/newuidmap is under /usr, which is mounted nosuid",
    root: ["mount -o remount,suid /usr"],
  },
  {
    name: "no sub-ids",
    machine: { ids: { ids: someIds([]) } },
    id: "subids",
    says: "alice (1000) has no subordinate uids in /etc/subuid, and no gids in /etc/subgid",
    root: ["usermod --add-subuids 100000-165535 --add-subgids 100000-165535 alice"],
  },
  {
    name: "too few sub-ids",
    machine: { ids: { ids: someIds([{ start: 100000, length: 1000 }]) } },
    id: "subids",
    says: "only 1000 subordinate uids",
    root: ["usermod --add-subuids 101000-166535 --add-subgids 101000-166535 alice"],
  },
  {
    name: "no sub-ids for a user of LDAP",
    machine: { ids: { ids: someIds([]), localUser: false } },
    id: "subids",
    says: "no subordinate uids",
    root: ["echo 1000:100000:65536 | tee -a /etc/subuid /etc/subgid"],
  },
  {
    name: "no sub-ids where there is no usermod",
    machine: { ids: { ids: someIds([]) }, osRelease: ALPINE, missing: ["usermod"] },
    id: "subids",
    says: "no subordinate uids",
    root: ["echo 1000:100000:65536 | tee -a /etc/subuid /etc/subgid"],
  },
  {
    name: "no sub-ids, which FreeIPA delegates",
    machine: { ids: { ids: someIds([]), subidService: "sss" } },
    id: "subids",
    says: "no subordinate uids",
    words: "ipa subid-generate --owner=alice",
  },
  {
    name: "a line of /etc/subuid that is none",
    machine: { ids: new RlkitError("SUBID_FILE", "/etc/subuid line 3: it has 2 fields", { hint: "correct it" }) },
    id: "subids",
    says: "/etc/subuid line 3",
    words: "correct it",
  },
  {
    name: "sub-ids that the container around does not have",
    machine: {
      ids: {
        ids: {
          uid: { ...someIds().uid, outer: [{ inside: 0, outside: 100000, length: 65536 }] },
          gid: { ...someIds().gid, outer: [{ inside: 0, outside: 100000, length: 65536 }] },
        },
      },
      container: "lxc",
    },
    id: "subids",
    says: "do not exist in this user namespace",
    words: "give the container that rlkit runs in more ids",
  },
  {
    name: "user.max_user_namespaces of CentOS 7",
    machine: { unshare: "ENOSPC", files: { "/proc/sys/user/max_user_namespaces": "0\n" } },
    id: "user-namespace",
    says: "user.max_user_namespaces is 0",
    root: sysctl("user.max_user_namespaces=28633"),
  },
  {
    name: "no network namespaces",
    machine: { unshare: "ENOSPC", files: { "/proc/sys/user/max_net_namespaces": "0\n" } },
    id: "user-namespace",
    says: "user.max_net_namespaces is 0",
    root: sysctl("user.max_net_namespaces=28633"),
  },
  {
    name: "all user namespaces in use",
    machine: { unshare: "ENOSPC", files: { "/proc/sys/user/max_user_namespaces": "3\n" } },
    id: "user-namespace",
    says: "the limit on namespaces is reached (user.max_user_namespaces is 3)",
    root: sysctl("user.max_user_namespaces=28633"),
  },
  {
    name: "Debian's old switch",
    machine: { unshare: "EPERM", files: { "/proc/sys/kernel/unprivileged_userns_clone": "0\n" } },
    id: "user-namespace",
    says: "kernel.unprivileged_userns_clone is 0",
    root: sysctl("kernel.unprivileged_userns_clone=1"),
  },
  {
    name: "AppArmor on Ubuntu 24.04",
    machine: { unshare: "EACCES", files: { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n" } },
    id: "user-namespace",
    says: "AppArmor forbids it to /opt/rlkit/libexec/rlkit-ns (EACCES)",
    root: [
      "printf '%s\\n' 'abi <abi/4.0>,' 'include <tunables/global>' '/opt/rlkit/libexec/rlkit-ns flags=(unconfined) {' '  userns,' '}' > /etc/apparmor.d/opt.rlkit.libexec.rlkit-ns",
      "apparmor_parser -r /etc/apparmor.d/opt.rlkit.libexec.rlkit-ns",
    ],
  },
  {
    name: "seccomp of docker run",
    machine: { unshare: "EPERM", container: "docker" },
    id: "user-namespace",
    says: "cannot make a user namespace: EPERM",
    words: "docker run --security-opt seccomp=unconfined",
  },
  {
    name: "seccomp of a pod",
    machine: { unshare: "EPERM", container: "kubernetes" },
    id: "user-namespace",
    says: "EPERM",
    words: "seccompProfile: {type: Unconfined}",
  },
  {
    name: "a chroot",
    machine: { unshare: "EPERM" },
    id: "user-namespace",
    says: "EPERM",
    words: "not possible in a chroot",
  },
  {
    name: "newuidmap that refuses",
    machine: { map: "/usr/bin/newuidmap could not write the map: uid range not allowed" },
    id: "id-map",
    says: "uid range not allowed",
    words: "rlkit idmap",
  },
  {
    name: "a masked /proc in a container",
    machine: { proc: "EPERM", container: "docker" },
    id: "mounts",
    says: "cannot mount proc in a new pid namespace: EPERM",
    words: "systempaths=unconfined",
  },
  {
    name: "a masked /proc in a pod",
    machine: { proc: "EPERM", container: "kubernetes" },
    id: "mounts",
    says: "cannot mount proc",
    words: "procMount: Unmasked",
  },
  {
    name: "a /proc that something covers",
    machine: { proc: "EPERM" },
    id: "mounts",
    says: "cannot mount proc",
    words: "findmnt --submounts /proc",
  },
  {
    name: "a security module that forbids mounts",
    machine: { tmpfs: "EACCES" },
    id: "mounts",
    says: "cannot mount a tmpfs: EACCES",
    words: "ausearch",
  },
  {
    name: "no /dev/net/tun",
    machine: { network: { tunProblem: "there is no /dev/net/tun on this machine" } },
    id: "tun",
    says: "there is no /dev/net/tun",
    root: ["mkdir -p /dev/net", "[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200", "chmod 0666 /dev/net/tun"],
  },
  {
    name: "/dev/net/tun without its driver",
    machine: { network: { tunProblem: "/dev/net/tun can't be opened (ENODEV)" } },
    id: "tun",
    says: "ENODEV",
    root: [
      "modprobe tun",
      "echo tun > /etc/modules-load.d/rlkit-tun.conf",
      "mkdir -p /dev/net",
      "[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200",
      "chmod 0666 /dev/net/tun",
    ],
  },
  {
    name: "no /dev/net/tun in a container",
    machine: { network: { tunProblem: "there is no /dev/net/tun on this machine" }, container: "podman" },
    id: "tun",
    says: "there is no /dev/net/tun",
    words: "podman run --device /dev/net/tun",
  },
  {
    name: "no network helper",
    machine: { network: { pasta: undefined, slirp4netns: undefined } },
    id: "network-helper",
    says: "pasta is not on PATH",
    root: ["apt-get install -y passt || apt-get install -y slirp4netns"],
  },
  {
    name: "a pasta that is too old, alone",
    machine: { network: { pasta: { path: "/usr/bin/pasta", features: new Set() }, slirp4netns: undefined } },
    id: "network-helper",
    says: "/usr/bin/pasta is too old",
    root: ["apt-get install -y slirp4netns"],
  },
  {
    name: "a pasta that does not start, alone",
    machine: { network: { slirp4netns: undefined }, helper: "pasta ended with status 1: no luck", osRelease: FEDORA },
    id: "network-helper",
    says: "pasta does not start: pasta ended with status 1: no luck",
    root: ["dnf install -y slirp4netns"],
  },
  {
    name: "no Internet",
    machine: { names: { inside: "ETIMEOUT", outside: "ECONNREFUSED" } },
    id: "names",
    verdict: "warning",
    says: "this machine itself does not find registry-1.docker.io (ECONNREFUSED)",
    words: "/etc/resolv.conf",
  },
  {
    name: "a name server that the helper does not reach",
    machine: { names: { inside: "ETIMEOUT" } },
    id: "names",
    verdict: "warning",
    says: "through the network helper does not (ETIMEOUT)",
    words: "daemon.json",
  },
  {
    name: "no iptables",
    machine: { missing: ["iptables"], osRelease: ARCH },
    id: "iptables",
    says: "iptables not found",
    root: ["pacman -S --noconfirm --needed iptables"],
  },
  {
    name: "a kernel without nftables",
    machine: { iptables: iptablesFails, nftables: "EPROTONOSUPPORT" },
    id: "iptables",
    says: "Failed to initialize nft",
    root: ["modprobe nf_tables", "echo nf_tables > /etc/modules-load.d/rlkit-nf_tables.conf"],
  },
  {
    name: "the old iptables without its modules",
    machine: { iptables: iptablesFails, answers: legacy, osRelease: ROCKY },
    id: "iptables",
    says: "does not work in a namespace",
    root: ["modprobe ip_tables", "echo ip_tables > /etc/modules-load.d/rlkit-ip_tables.conf"],
  },
  {
    name: "the old iptables on Debian, whose kernel has nftables",
    machine: { iptables: iptablesFails, answers: legacy },
    id: "iptables",
    says: "the kernel has nftables",
    root: ["update-alternatives --set iptables /usr/sbin/iptables-nft"],
  },
  {
    name: "SELinux and iptables' lock",
    machine: {
      iptables: { status: 4, output: "Fatal: can't open lock file /run/xtables.lock: Permission denied" },
      osRelease: FEDORA,
    },
    id: "iptables",
    says: "SELinux keeps iptables from its lock",
    root: ["dnf install -y policycoreutils-python-utils", "semanage permissive -a iptables_t"],
  },
  {
    name: "a daemon.json that is no JSON",
    machine: { files: { "/home/alice/.config/docker/daemon.json": "{,}" } },
    id: "daemon-json",
    says: "/home/alice/.config/docker/daemon.json: ",
    words: "correct /home/alice/.config/docker/daemon.json",
  },
  {
    name: "a data root of somebody else's",
    machine: { fileTrial: { write: { errno: "EACCES", directory: "/home/alice/.local" } } },
    id: "data-root",
    says: "cannot write to Docker's data root: EACCES in /home/alice/.local",
    root: ["chown 1000 /home/alice/.local && chmod u+rwx /home/alice/.local"],
  },
  {
    name: "a read-only home",
    machine: { fileTrial: { write: { errno: "EROFS", directory: "/home/alice" } } },
    id: "data-root",
    says: "EROFS",
    root: ["mount -o remount,rw /home"],
  },
  {
    name: "a full disk",
    machine: { fileTrial: { write: { errno: "ENOSPC", directory: "/home/alice" } } },
    id: "data-root",
    says: "ENOSPC",
    words: "make room on /home",
  },
  {
    name: "a home on NFS",
    machine: { place: { type: "nfs4" }, fileTrial: { chown: "Operation not permitted" } },
    id: "data-root",
    says: "files on /home (nfs4), where delegated ids mean nothing, can't be given",
    words: '{"data-root": "/DIRECTORY/OF/YOURS"} in /home/alice/.config/docker/daemon.json',
  },
  {
    name: "a data root without programs",
    machine: { fileTrial: { execute: "EACCES" } },
    id: "data-root",
    verdict: "warning",
    says: "/home (ext4) is mounted noexec",
    root: ["mount -o remount,exec /home"],
  },
  {
    name: "a data root in memory",
    machine: { place: { type: "tmpfs" } },
    id: "data-root",
    verdict: "warning",
    says: "/home (tmpfs) is in memory",
    words: "data-root",
  },
  {
    name: "a disk that is almost full",
    machine: { place: { free: 100 * 1024 ** 2 } },
    id: "data-root",
    verdict: "warning",
    says: "100 MiB free",
    words: "data-root",
  },
  {
    name: "a kernel without overlay for users, and no fuse-overlayfs",
    machine: { kernel: "5.10.0-30-amd64", storage: noOverlay, missing: ["fuse-overlayfs"] },
    id: "storage-driver",
    verdict: "warning",
    says: "overlay2 needs Linux 5.11, this is 5.10.0-30-amd64",
    root: ["apt-get install -y fuse-overlayfs"],
  },
  {
    name: "a /dev/fuse that can't be opened",
    machine: {
      storage: { driver: "vfs", refused: ["overlay2: EINVAL", "fuse-overlayfs: /dev/fuse can't be opened (EACCES)"] },
    },
    id: "storage-driver",
    verdict: "warning",
    says: "/dev/fuse can't be opened (EACCES)",
    root: ["chmod 0666 /dev/fuse"],
  },
  {
    name: "no /dev/fuse",
    machine: {
      storage: { driver: "vfs", refused: ["overlay2: EINVAL", "fuse-overlayfs: /dev/fuse can't be opened (ENOENT)"] },
    },
    id: "storage-driver",
    verdict: "warning",
    says: "/dev/fuse can't be opened (ENOENT)",
    root: ["modprobe fuse || true", "[ -e /dev/fuse ] || mknod /dev/fuse c 10 229", "chmod 0666 /dev/fuse"],
  },
  {
    name: "no /dev/fuse in a container",
    machine: {
      storage: { driver: "vfs", refused: ["overlay2: EPERM", "fuse-overlayfs: /dev/fuse can't be opened (ENOENT)"] },
      container: "docker",
    },
    id: "storage-driver",
    verdict: "warning",
    says: "nothing but vfs works here",
    words: "--device /dev/fuse",
  },
  {
    name: "su without a session",
    machine: { env: {}, statuses: { "/run/user/1000": undefined } },
    id: "runtime-dir",
    says: "there is no /run/user/1000: a shell of su or sudo, which is no login session",
    root: ["loginctl enable-linger alice"],
    user: ["export XDG_RUNTIME_DIR=/run/user/1000"],
    words: "machinectl shell alice@",
  },
  {
    name: "XDG_RUNTIME_DIR of the user who called su",
    machine: { env: { XDG_RUNTIME_DIR: "/run/user/0" }, statuses: { "/run/user/0": [0, 0o700] } },
    id: "runtime-dir",
    says: "/run/user/0, which belongs to uid 0",
    user: ["export XDG_RUNTIME_DIR=/run/user/1000"],
  },
  {
    name: "XDG_RUNTIME_DIR that is not there, without systemd",
    machine: {
      env: { XDG_RUNTIME_DIR: "/run/user/7" },
      statuses: { ...noSystemd, "/run/user/1000": undefined },
      files: { "/proc/self/cgroup": "0::/me\n", "/sys/fs/cgroup/me/cgroup.controllers": "cpu cpuset io memory pids" },
    },
    id: "runtime-dir",
    says: "/run/user/7, which is not a directory",
    user: ["unset XDG_RUNTIME_DIR"],
  },
  {
    name: "XDG_RUNTIME_DIR that is open to others",
    machine: { statuses: { "/run/user/1000": [1000, 0o755] } },
    id: "runtime-dir",
    says: "which others can enter (mode 0755)",
    user: ["chmod 0700 /run/user/1000"],
  },
  {
    name: "XDG_RUNTIME_DIR that is open to the group",
    machine: { statuses: { "/run/user/1000": [1000, 0o710] } },
    id: "runtime-dir",
    says: "which others can enter (mode 0710)",
    user: ["chmod 0700 /run/user/1000"],
  },
  {
    name: "su without a session, where the directory is left",
    machine: {
      statuses: { "/run/user/1000/systemd/private": undefined },
      answers: { "systemctl --user": noUnit },
    },
    id: "systemd-user",
    says: "no systemd runs for alice: a shell of su or sudo",
    root: ["loginctl enable-linger alice"],
    user: ["export XDG_RUNTIME_DIR=/run/user/1000"],
    words: "ssh alice@localhost",
  },
  {
    name: "a user's systemd without a bus",
    machine: { statuses: { "/run/user/1000/bus": undefined }, answers: { "systemctl --user": noUnit } },
    id: "systemd-user",
    says: "the user's systemd has no message bus",
    root: ["apt-get install -y dbus-user-session"],
  },
  {
    name: "no lingering",
    machine: { statuses: { "/var/lib/systemd/linger/alice": undefined } },
    id: "linger",
    verdict: "warning",
    says: "the daemon ends at logout",
    root: ["loginctl enable-linger alice"],
  },
  {
    name: "cgroup version 1 on Debian",
    machine: { files: { "/sys/fs/cgroup/cgroup.controllers": undefined } },
    id: "cgroup",
    verdict: "warning",
    says: "cgroup version 1",
    words: "systemd.unified_cgroup_hierarchy=1 to the kernel's command line",
  },
  {
    name: "controllers that are version 1's",
    machine: {
      files: {
        "/sys/fs/cgroup/cgroup.controllers": "pids\n",
        "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/cgroup.controllers": "pids\n",
      },
    },
    id: "cgroup",
    verdict: "warning",
    says: "cgroup version 2 does not have: cpu, cpuset, io, memory",
    words: "systemd.unified_cgroup_hierarchy=1",
  },
  {
    name: "controllers that are not delegated",
    machine: {
      files: {
        "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/cgroup.controllers": "memory pids\n",
      },
    },
    id: "cgroup",
    verdict: "warning",
    says: "not delegated: cpu, cpuset, io",
    root: [
      "mkdir -p /etc/systemd/system/user@.service.d",
      "printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' > /etc/systemd/system/user@.service.d/delegate.conf",
      "systemctl daemon-reload",
      "systemctl restart user@1000.service",
    ],
  },
  {
    name: "no cgroup of one's own without systemd",
    machine: { statuses: noSystemd, tryDirectory: "EACCES", files: { "/proc/self/cgroup": "0::/\n" } },
    id: "cgroup",
    verdict: "warning",
    says: "cannot make a group below /sys/fs/cgroup",
    words: "without systemd nobody delegates a group",
  },
  {
    name: "no dockerd",
    machine: { missing: ["dockerd"] },
    id: "dockerd",
    says: "dockerd not found",
    root: ["apt-get install -y docker.io"],
  },
  {
    name: "no dockerd on RHEL's like, which have no package of it",
    machine: { missing: ["dockerd", "containerd", "runc"], osRelease: ROCKY },
    id: "dockerd",
    says: "dockerd, containerd, runc not found",
    user: ["rlkit install"],
  },
  {
    name: "DOCKER_HOST of the rootful daemon",
    machine: { env: { XDG_RUNTIME_DIR: "/run/user/1000", DOCKER_HOST: "unix:///var/run/docker.sock" } },
    id: "docker-client",
    verdict: "warning",
    says: "DOCKER_HOST is unix:///var/run/docker.sock",
    user: ["unset DOCKER_HOST", 'eval "$(rlkit env)"'],
  },
  {
    name: "a member of the group docker",
    machine: { writable: ["/var/run/docker.sock"] },
    id: "docker-client",
    verdict: "warning",
    says: "talks to the rootful daemon at /var/run/docker.sock",
    user: ['eval "$(rlkit env)"'],
  },
  {
    name: "root",
    machine: { uid: 0, env: {}, statuses: { ...noSystemd }, files: { "/proc/self/cgroup": "0::/\n" } },
    id: "user",
    says: "this is root",
    words: "log in as that user",
  },
];

test("a good machine has nothing to mend", async () => {
  const results = await check(madeUpMachine());
  expect(wrong(results)).toEqual([]);
  expect(results.map(({ verdict }) => verdict)).toEqual(results.map(() => "ok"));
  expect(rootLines(results)).toEqual([]);
});

describe("of one cause the check names that cause and no other:", () => {
  test.each(causes)("$name", async ({ machine, id, verdict, says, root = [], user = [], words }) => {
    const results = await check(madeUpMachine(machine));
    const found = wrong(results);
    expect(found.map((each) => each.id)).toEqual([id]);
    const [first = expect.unreachable()] = found;
    expect(first).toMatchObject({ verdict: verdict ?? "failure", found: expect.stringMatching(asPattern(says)) });
    expect(first.found).not.toMatch(/\.$|\n/);
    expect(rootLines(results)).toEqual(root);
    expect(first.fix.filter(({ who }) => who === "user").flatMap(({ lines }) => lines)).toEqual(user);
    if (words !== undefined) expect(first.fix.map(({ note }) => note).join("\n")).toMatch(asPattern(words));
    expect(isGood(results)).toBe(verdict === "warning");
  });
});

const asPattern = (words: string | RegExp): RegExp =>
  typeof words === "string" ? new RegExp(words.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")) : words;

test("what is possible without being needed is told, and is not among what root is to run", async () => {
  const files = {
    "/proc/sys/net/ipv4/ip_unprivileged_port_start": "1024\n",
    "/proc/sys/net/ipv4/ping_group_range": "1\t0\n",
  };
  const storage = { driver: "btrfs" as const, refused: ["overlay2: EINVAL"] };
  const results = await check(madeUpMachine({ files, storage, place: { type: "btrfs", point: "/data" } }));
  expect(wrong(results)).toEqual([]);
  expect(rootLines(results)).toEqual([]);
  const optional = results.filter(({ fix }) => fix.some((each) => each.optional));
  expect(optional.map(({ id, fix }) => [id, fix[0]?.lines.at(-2) ?? fix[0]?.lines.at(-1)])).toEqual([
    ["low-ports", "echo net.ipv4.ip_unprivileged_port_start=80 >> /etc/sysctl.d/60-rlkit.conf"],
    ["ping", "echo net.ipv4.ping_group_range='0 2147483647' >> /etc/sysctl.d/60-rlkit.conf"],
    ["storage-driver", "mount -o remount,user_subvol_rm_allowed /data"],
  ]);
});

test("what needs something that fails is skipped, and names the first cause", async () => {
  const results = await check(madeUpMachine({ ids: { ids: someIds([]) } }));
  const skipped = results.filter(({ verdict }) => verdict === "skipped");
  expect(skipped.map(({ id }) => id)).toEqual([
    ...["id-map", "mounts", "network-helper", "names", "iptables", "data-root", "storage-driver"],
  ]);
  expect(new Set(skipped.map(({ found }) => found))).toEqual(new Set(["needs: subids"]));
});

test("where systemd is not the init, its requirements don't matter", async () => {
  const files = {
    "/proc/self/cgroup": "0::/me\n",
    "/sys/fs/cgroup/me/cgroup.controllers": "cpu cpuset io memory pids",
  };
  const results = await check(madeUpMachine({ statuses: noSystemd, env: {}, files }));
  expect(wrong(results)).toEqual([]);
  expect(results.filter(({ verdict }) => verdict === "skipped").map(({ id }) => id)).toEqual([
    "systemd-user",
    "linger",
  ]);
});

test("every requirement needs known ones that come before it, and has its own id", () => {
  const seen = new Set<string>();
  for (const { id, needs = [] } of requirements) {
    for (const need of needs) expect(seen).toContain(need);
    expect(seen).not.toContain(id);
    seen.add(id);
  }
});

test("every requirement is in the documentation", () => {
  const text = readFileSync(join(import.meta.dirname, "..", "..", "docs", "check.md"), "utf8");
  for (const { id } of requirements) expect(text).toContain(`\`${id}\``);
});
