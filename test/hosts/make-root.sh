#!/usr/bin/env bash
# make-root.sh SUITE DIR [PACKAGE...]: a Debian root for host.sh, with dockerd, RootlessKit, what both need, and a user
# `testuser` who has sub-ids. Run as root. The mirror is the one that this machine's own apt uses.
set -euo pipefail
suite=${1:?usage: make-root.sh SUITE DIR [PACKAGE...]}
root=${2:?usage: make-root.sh SUITE DIR [PACKAGE...]}
shift 2
[[ ! -e $root ]] || { echo "$root is there already" >&2; exit 1; }

# Mounts below the new root are this script's alone: they end with it, however it ends.
[[ -n ${MAKE_ROOT_INSIDE:-} ]] ||
  MAKE_ROOT_INSIDE=1 exec unshare --mount --propagation private -- "$0" "$suite" "$root" "$@"

# Half a root must not be taken for one: it gets its name at the end.
new=$root.new
rm -rf --one-file-system "$new"
mkdir -p "$new"

# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "$VERSION_CODENAME")
# shellcheck disable=SC2016 # $(...) is apt's, not the shell's
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Identifier: Packages' "Release: $release" | head -n 1)
: "${mirror:?apt has no source for $release}"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

quietly() { "$@" >"$new.log" 2>&1 || { tail -n 30 "$new.log" >&2; return 1; }; }

quietly debootstrap --variant=minbase --keyring="$keyring" "$suite" "$new" "$mirror"

# No service starts, no documentation is unpacked, nothing waits for the disk.
printf '#!/bin/sh\nexit 101\n' >"$new/usr/sbin/policy-rc.d"
chmod 755 "$new/usr/sbin/policy-rc.d"
printf '%s\n' force-unsafe-io path-exclude=/usr/share/{doc,man,locale}/'*' >"$new/etc/dpkg/dpkg.cfg.d/small"
# The Release file of a suite that is being worked on may be past its date where the mirror is a snapshot.
cat >"$new/etc/apt/apt.conf.d/small" <<'CONF'
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
CONF
echo "deb [signed-by=$keyring] $mirror $suite main" >"$new/etc/apt/sources.list"
cp --dereference /etc/resolv.conf /etc/hosts "$new/etc"
mount -t proc proc "$new/proc"
mount -t sysfs -o ro sysfs "$new/sys"
mount --rbind /dev "$new/dev"

inside() {
  env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$new" "$@"
}
version() { inside apt-cache show --no-all-versions "$1" 2>/dev/null | sed -n 's/^Version: //p'; }

packages=(docker.io rootlesskit slirp4netns passt fuse-overlayfs uidmap iptables nftables iproute2 ca-certificates curl
  busybox-static iputils-ping kmod netbase passwd procps socat util-linux dbus dbus-user-session libpam-systemd
  systemd systemd-sysv)
quietly inside apt-get -q update
# A package of its own since trixie.
[[ -z $(version docker-cli) ]] || packages+=(docker-cli)
# Where Debian's Node is too old for rlkit, the machine's takes its place: npm's own, not one that the tests run on.
if dpkg --compare-versions "$(version nodejs)" ge 20.19; then
  packages+=(nodejs)
else
  packages+=(libstdc++6)
  cp --dereference "${npm_node_execpath:-$(command -v node)}" "$new/usr/local/bin/node"
fi
quietly inside apt-get -qy -o Dpkg::Use-Pty=0 install "${packages[@]}" "$@"
inside useradd --create-home --shell /bin/bash testuser

inside apt-get clean
: >"$new/etc/apt/sources.list"
rm -rf "$new"/var/lib/apt/lists/* "$new"/var/log/{apt,dpkg.log,bootstrap.log} "$new.log"
umount -R "$new/proc" "$new/sys" "$new/dev"
mv "$new" "$root"
