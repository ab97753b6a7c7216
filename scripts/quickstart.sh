#!/usr/bin/env bash
# quickstart.sh: a rootless dockerd under rlkit, from nothing to a container and back, on a machine with Node 20.19 or newer.
# Installs what is missing, builds, makes the user rlkit-demo and runs everything else as that user. Run it as root or
# through sudo; it can be run again at any time.
set -euo pipefail
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$TOP/scripts/lib.sh"
become_root "$0" "$@"

NAME="rlkit-demo"
LOG=$(mktemp --suffix=.log /tmp/rlkit-quickstart.XXXXXX)
DAEMON_LOG=${LOG%.log}.dockerd.log
STEP=
daemon=

# Whatever went wrong: say where, show the end of the log, leave no daemon behind.
finish() {
  local status=$?
  trap '' INT TERM
  exec 1>&"$OUT" 2>&"$ERR"
  if [ "$status" != 0 ]; then
    printf '\nquickstart: failed%s\n' "${STEP:+ at: $STEP}"
    tail -n 40 "$LOG" | sed 's/^/    /'
    [ ! -s "$DAEMON_LOG" ] || { echo "--- dockerd and rlkit:"; tail -n 30 "$DAEMON_LOG" | sed 's/^/    /'; }
  fi >&2
  if [ -n "$daemon" ] && running "$daemon"; then
    kill -TERM "$daemon"
    (wait_for 20 "rlkit to end" "" ended "$daemon") || kill -KILL "$daemon"
  fi
  if [ "$status" = 0 ]; then rm -f "$LOG" "$DAEMON_LOG"; else echo "The logs are $LOG and $DAEMON_LOG" >&2; fi
}
ended() { ! running "$1"; }

# The user need not be able to read the repository (it may lie under /root): it gets a copy of the runnable tree.
give_tree() {
  as_user "$NAME" rm -rf .local/lib/rlkit
  as_user "$NAME" mkdir -p .local/lib/rlkit
  tar -C "$TOP/dist" -c . | as_user "$NAME" tar -x -C .local/lib/rlkit
}

docker_answers() { as_user "$NAME" env DOCKER_HOST="$DOCKER_HOST" docker info; }
docker() { as_user "$NAME" env DOCKER_HOST="$DOCKER_HOST" docker "$@"; }

start_daemon() {
  local rlkit AS_USER
  rlkit=$(getent passwd "$NAME" | cut -d: -f6)/.local/lib/rlkit/bin/rlkit
  # shellcheck disable=SC2016  # $DOCKER_HOST is for the inner shell
  DOCKER_HOST=$(as_user "$NAME" sh -c 'env=$("$0" env) && eval "$env" && printf %s "$DOCKER_HOST"' "$rlkit")
  user_command "$NAME"
  # setpriv, env and rlkit replace one another, so $! is rlkit's pid.
  "${AS_USER[@]}" "$rlkit" run -- dockerd --experimental --storage-driver vfs \
    </dev/null >"$DAEMON_LOG" 2>&1 {OUT}>&- {ERR}>&- &
  daemon=$!
  wait_for 60 "docker info to answer at $DOCKER_HOST" "$daemon" docker_answers
}

# An image of a few megabytes without a registry: one busybox, and its libraries unless it is linked statically.
import_image() {
  local root busybox library
  docker image inspect rlkit-demo >/dev/null 2>&1 && return
  busybox=$(command -v busybox)
  root=$(mktemp -d)
  mkdir -p "$root/bin" "$root/proc" "$root/tmp"
  cp "$busybox" "$root/bin/busybox"
  for library in $(ldd "$busybox" 2>/dev/null | grep -o '/[^ :)]*'); do
    [ "$library" = "$busybox" ] || cp -L --parents "$library" "$root"
  done
  ln -s busybox "$root/bin/sh"
  tar -C "$root" -c . | docker import - rlkit-demo
  rm -rf "$root"
}

stop_daemon() {
  local left
  kill -TERM "$daemon"
  wait_for 30 "rlkit to end after TERM" "" ended "$daemon"
  # dockerd ends of TERM with status 0 once its containers are stopped.
  wait "$daemon"
  daemon=
  left=$(processes_of "$NAME")
  [ -z "$left" ] || die "processes of $NAME are left: $left"
  [ ! -e "/run/user/$(id -u "$NAME")/dockerd-rootless" ] || die "the state directory is left"
}

prepare_user() {
  open_device /dev/net/tun 10 200
  make_user "$NAME"
  node_is_new_enough as_user "$NAME" ||
    die "$NAME can't run $(readlink -f "$(command -v node)"): install Node where every user reaches it, /usr/local for one"
}

main() {
  need_node
  step "packages" need_packages uidmap:newuidmap slirp4netns passt:pasta docker.io:dockerd gcc make libc6-dev \
    musl-tools:musl-gcc busybox-static:busybox iptables
  step "user $NAME, /dev/net/tun" prepare_user
  step "npm ci" install_dependencies
  step "npm run build" build
  step "rlkit for $NAME" give_tree
  step "rlkit run -- dockerd --experimental --storage-driver vfs" start_daemon
  step "image of busybox" import_image

  echo "==> docker run"
  # shellcheck disable=SC2016  # for the container's shell
  docker run --rm rlkit-demo /bin/busybox sh -c '
    echo "Hello from a container. I am uid $(/bin/busybox id -u) here; and outside (inside, outside, count):"
    /bin/busybox cat /proc/self/uid_map'
  echo "==> docker info"
  docker info 2>/dev/null | grep -E '^ *(Server Version|Storage Driver|Cgroup Driver|rootless|Docker Root Dir):?'

  step "stop; nothing is left" stop_daemon
  echo
  echo "All of it ran as $NAME. Go on with: su - $NAME, then"
  echo "  export XDG_RUNTIME_DIR=/run/user/\$(id -u); ~/.local/lib/rlkit/bin/rlkit run -- dockerd --experimental"
}

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
main
