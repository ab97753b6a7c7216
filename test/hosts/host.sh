#!/usr/bin/env bash
# A throw-away host in namespaces over a read-only root (make-root.sh). Run as root.
#   host.sh up NAME ROOT              starts it; prints the pid of its first process
#   host.sh boot NAME ROOT            starts it with systemd, or again after halt, and waits until that is done
#   host.sh session NAME USER COMMAND runs a shell command in a login session of USER, where systemd is
#   host.sh halt NAME                 has systemd shut it down; its files stay
#   host.sh sh NAME USER COMMAND      runs a shell command in it, with the environment of a login of USER
#   host.sh root NAME ARGV...         runs a command in it as root
#   host.sh link A IP/LEN B IP/LEN    connects two hosts by a cable
#   host.sh down NAME                 ends it, and all that it left
# What it writes lies in $RLKIT_HOSTS (default /var/tmp/rlkit-hosts).
set -euo pipefail

hosts=${RLKIT_HOSTS:-/var/tmp/rlkit-hosts}
# Where version 1 of cgroups is in use, version 2 lies beside it.
cgroups=/sys/fs/cgroup/unified
[[ -d $cgroups ]] || cgroups=/sys/fs/cgroup
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

die() {
  echo "host.sh: $*" >&2
  exit 1
}

# The pid of the host's first process; fails when it does not run. The namespace is compared, as pids are used again.
first() {
  local pid namespace
  [[ -s $hosts/run/$1/first ]] && read -r pid namespace <"$hosts/run/$1/first" || return 1
  [[ $(readlink "/proc/$pid/ns/pid") == "$namespace" ]] && echo "$pid"
}

enter() {
  local name=$1 pid
  shift
  pid=$(first "$name") || die "$name is not up"
  # containerd takes a path that leads out of its cgroup namespace for a mistake.
  echo $$ >"$cgroups/host-$name/cgroup.procs"
  exec nsenter --target "$pid" --mount --pid --uts --ipc --net --cgroup --root --wd -- "$@"
}

# The first process, before it is that: builds the host's file system and changes into it.
inside() {
  local root=$1 files=$2 init=$3 name=${2##*/} new=$2/mnt device user uid gid home
  mount --make-rprivate /
  mkdir -p "$new" "$files"/{upper,work,home}
  mount -t overlay overlay -o "lowerdir=$root,upperdir=$files/upper,workdir=$files/work" "$new"
  # An overlay can't be the upper layer of another: dockerd's overlay2 wants a real file system.
  mount --bind "$files/home" "$new/home"
  mount -t proc proc "$new/proc"
  mount -t sysfs sysfs "$new/sys"
  mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
  mount -t tmpfs -o mode=755,nosuid tmpfs "$new/dev"
  mkdir -p "$new"/dev/{net,pts,shm,mqueue}
  for device in null zero full random urandom tty fuse net/tun; do
    [[ -e /dev/$device ]] || continue
    : >"$new/dev/$device"
    mount --bind "/dev/$device" "$new/dev/$device"
  done
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$new/dev/pts"
  mount -t tmpfs -o mode=1777 tmpfs "$new/dev/shm"
  mount -t mqueue mqueue "$new/dev/mqueue"
  ln -s pts/ptmx "$new/dev/ptmx"
  ln -s /proc/self/fd "$new/dev/fd"
  ln -s fd/0 "$new/dev/stdin"
  ln -s fd/1 "$new/dev/stdout"
  ln -s fd/2 "$new/dev/stderr"
  mount -t tmpfs -o mode=755 tmpfs "$new/run"
  mount -t tmpfs -o mode=1777 tmpfs "$new/tmp"
  mkdir -p "$new"/run/{user,lock}
  while IFS=: read -r user _ uid gid _ home _; do
    ((uid >= 1000 && uid < 60000)) || continue
    install -d -m 700 -o "$uid" -g "$gid" "$new$home"
    # logind makes this one, and keeps a manager running for the user.
    [[ $init == systemd ]] || install -d -m 700 -o "$uid" -g "$gid" "$new/run/user/$uid"
    [[ $init != systemd ]] || install -D /dev/null "$new/var/lib/systemd/linger/$user"
  done <"$root/etc/passwd"
  hostname "$name"
  echo "127.0.0.1 localhost $name" >"$new/etc/hosts"
  ip link set lo up
  # As systemd does: ping for everyone.
  echo '0 2147483647' >/proc/sys/net/ipv4/ping_group_range
  # A network card with a route: without one pasta has nothing to imitate. The other end is never heard of.
  ip link add eth0 type veth peer name cable
  ip link set cable up
  ip address add 198.18.7.2/24 dev eth0
  ip link set eth0 up
  ip route add default via 198.18.7.1
  # Not chroot: the kernel refuses user namespaces to those who live in one.
  mkdir "$new/.old"
  cd "$new"
  pivot_root . .old
  umount -l /.old
  rmdir /.old
  # As systemd leaves it; RootlessKit's --propagation=rslave wants that.
  mount --make-rshared /
  cd /
  [[ $init != systemd ]] || exec /usr/bin/env -i container=rlkit PATH="$path" /lib/systemd/systemd
  exec /usr/bin/env -i PATH="$path" /usr/bin/tini-static -s -- sleep infinity
}

# What a host with systemd has besides: an id, and no rootful dockerd.
for_systemd() {
  local upper=$1/upper unit
  mkdir -p "$upper/etc/systemd/system"
  [[ -s $upper/etc/machine-id ]] || tr -d - </proc/sys/kernel/random/uuid >"$upper/etc/machine-id"
  for unit in docker.service docker.socket containerd.service systemd-networkd-wait-online.service; do
    ln -sfn /dev/null "$upper/etc/systemd/system/$unit"
  done
}

boot() {
  local name=$1 files=$hosts/run/$1 state
  if [[ -e $files/halted ]]; then
    rm "$files/halted"
  else
    down "$name"
  fi
  mkdir -p "$files"
  for_systemd "$files"
  start "$name" "$2" systemd
  for ((i = 0; i < 300; i++)); do
    state=$(enter_quietly "$name" systemctl is-system-running) || :
    [[ $state != running && $state != degraded ]] || return 0
    sleep 0.1
  done
  die "$name did not boot: $state"
}

enter_quietly() { (enter "$@") 2>/dev/null; }

halt() {
  local pid
  pid=$(first "$1") || die "$1 is not up"
  : >"$hosts/run/$1/halted"
  kill -s RTMIN+3 "$pid"
  await_end "$1" 1500
  rm -rf "$hosts/run/$1/first" "$hosts/run/$1/mnt"
}

await_end() {
  for ((i = 0; i < $2; i++)); do
    first "$1" >/dev/null || return 0
    sleep 0.02
  done
  die "$1 does not end"
}

in_session() {
  local name=$1 user=$2 pid uid
  shift 2
  pid=$(first "$name") || die "$name is not up"
  uid=$(grep "^$user:" "/proc/$pid/root/etc/passwd" | cut -d: -f3)
  enter "$name" env -i PATH="$path" systemd-run --quiet --pipe --wait --collect --uid="$user" --property=PAMName=login \
    --property=WorkingDirectory="~" -E XDG_RUNTIME_DIR="/run/user/$uid" -E DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$uid/bus" \
    -E PATH="$path" bash -c "$*"
}

up() {
  ! first "$1" >/dev/null || die "$1 is up already"
  down "$1"
  start "$1" "$2" tini-static
}

# Starts it with that program as its first process.
start() {
  local name=$1 root files=$hosts/run/$1 group=$cgroups/host-$1 init=$3 holder pid=
  root=$(realpath "$2")
  [[ -d $root/usr ]] || die "$2 is no root"
  mkdir -p "$files" "$group"
  # shellcheck disable=SC2016 # expanded by the shell that it is for
  setsid bash -c 'echo $$ >"$0/cgroup.procs"; exec unshare --mount --pid --uts --ipc --net --cgroup --fork \
    --kill-child -- "$@"' "$group" "$0" inside "$root" "$files" "$init" >"$files/log" 2>&1 </dev/null &
  holder=$!
  for ((i = 0; i < 200; i++)); do
    # unshare's only child is the first process. It is done when it is no longer this script.
    pid=$(cat "/proc/$holder/task/$holder/children" 2>/dev/null) && pid=${pid// /}
    [[ -n $pid && $(cat "/proc/$pid/comm" 2>/dev/null) == "$init" ]] && break
    pid=
    sleep 0.02
  done
  if [[ -z $pid ]]; then
    kill -KILL "$holder" 2>/dev/null || :
    cat "$files/log" >&2
    die "$name did not start"
  fi
  echo "$pid $(readlink "/proc/$pid/ns/pid")" >"$files/first"
  echo "$pid"
}

down() {
  local name=$1 pid
  if pid=$(first "$name"); then
    # All of a pid namespace ends with its first process. Its mounts and network end with its processes.
    kill -KILL "$pid"
    await_end "$name" 500
  fi
  [[ ! -d $cgroups/host-$name ]] || remove_cgroup "$cgroups/host-$name"
  rm -rf --one-file-system "${hosts:?}/run/$name"
}

# The last process may be on its way out of it still.
remove_cgroup() {
  for ((i = 0; i < 100; i++)); do
    find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || :
    [[ -d $1 ]] || return 0
    sleep 0.02
  done
  die "the cgroup $1 is still in use"
}

link() {
  local a=$1 b=$3 pid_a pid_b
  pid_a=$(first "$a") || die "$a is not up"
  pid_b=$(first "$b") || die "$b is not up"
  nsenter --target "$pid_a" --net ip link add "to-$b" type veth peer name "to-$a" netns "$pid_b"
  nsenter --target "$pid_a" --net sh -c "ip address add $2 dev to-$b && ip link set to-$b up"
  nsenter --target "$pid_b" --net sh -c "ip address add $4 dev to-$a && ip link set to-$a up"
}

in_shell() {
  local name=$1 user=$2 pid uid gid home shell
  shift 2
  pid=$(first "$name") || die "$name is not up"
  IFS=: read -r _ _ uid gid _ home shell < <(grep "^$user:" "/proc/$pid/root/etc/passwd") ||
    die "$name has no user $user"
  # Not su, which would stay in between: so signals and the exit status are the command's own.
  enter "$name" setpriv --reuid "$uid" --regid "$gid" --init-groups --inh-caps=-all -- env -i \
    HOME="$home" USER="$user" LOGNAME="$user" SHELL="$shell" LANG=C.UTF-8 TERM=xterm PATH="$path" \
    XDG_RUNTIME_DIR="/run/user/$uid" "$shell" -c "cd; $*"
}

case "${1:-}:$#" in
  up:3 | boot:3 | halt:2 | down:2 | link:5) "$@" ;;
  session:*) (($# > 3)) || die "session NAME USER COMMAND"; in_session "${@:2}" ;;
  root:*) (($# > 2)) || die "root NAME ARGV..."; enter "${@:2}" ;;
  sh:*) (($# > 3)) || die "sh NAME USER COMMAND"; in_shell "${@:2}" ;;
  inside:4) "$@" ;;
  *)
    sed -n 's/^#   //p' "$0" >&2
    exit 2
    ;;
esac
