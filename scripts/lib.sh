# shellcheck shell=bash
# shellcheck disable=SC2015  # `A && B || die`: die is meant for both
# shellcheck disable=SC2034  # STEP, OUT and ERR are for whoever sources this
# lib.sh: what quickstart.sh and test.sh share. They source it with `set -euo pipefail` in force, and run as root.

PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # useradd and others, which a plain `su` or `sudo env` leaves out

die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# become_root SCRIPT [ARG…] — starts SCRIPT again through sudo when an ordinary user called it. PATH goes along, because
# sudo's own would lose a Node that lies under /opt or in a version manager's directory.
become_root() {
  [ "$(id -u)" != 0 ] || return 0
  command -v sudo >/dev/null || die "this makes a user and installs packages: run it as root (there is no sudo here)"
  exec sudo -- env PATH="$PATH" bash "$@"
}

# --- progress ---------------------------------------------------------------------------------------------------------

# An `exit` inside a step leaves the step's redirection in force; an EXIT trap that has something to say gets back by these.
exec {OUT}>&1 {ERR}>&2

# step TEXT COMMAND [ARG…] — runs COMMAND with its output in $LOG and says how long it took; a dot every five seconds shows
# that it is not stuck. Call it as a plain command (no `||`, no `if`), so that errexit holds inside COMMAND; a caller's EXIT
# trap finds the failed step in $STEP.
step() {
  local text=$1 began=$SECONDS beat beater
  shift
  STEP=$text
  printf '==> %s ' "$text"
  # The heartbeat ends by itself when this end of its pipe is closed, however the script ends.
  exec {beat}> >(while read -rt 5 || [ $? -gt 128 ]; do printf '.'; done)
  beater=$!
  "$@" >>"$LOG" 2>&1 {beat}>&-
  exec {beat}>&-
  wait "$beater" || :
  printf '(%d s)\n' $((SECONDS - began))
  STEP=
}

# running PID — true while it runs. A zombie does not run: some machines' PID 1 never reaps orphans.
running() {
  local state
  state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 1
  [ -n "$state" ] && [ "$state" != Z ]
}

# wait_for SECONDS WHAT PID COMMAND [ARG…] — polls until COMMAND succeeds. Gives up at the deadline, or at once when PID, of
# which it is expected, has ended ("" when there is no such process).
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2 pid=$3
  shift 3
  until "$@" >/dev/null 2>&1; do
    [ -z "$pid" ] || running "$pid" || die "process $pid ended while waiting for $what"
    [ "$SECONDS" -lt "$deadline" ] || die "gave up waiting for $what"
    sleep 0.1
  done
}

# --- packages and Node ------------------------------------------------------------------------------------------------

policy=/usr/sbin/policy-rc.d
policy_mark="# rlkit's scripts/lib.sh: no service is started while it installs packages"

# without_services COMMAND [ARG…] — a package's service is not started by its installation: the system-wide docker.service
# is not what rlkit is about. A policy that is there already is the administrator's and stays.
without_services() (
  if [ ! -e "$policy" ] || grep -qsF "$policy_mark" "$policy"; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\n%s\nexit 101\n' "$policy_mark" | install -m 755 /dev/stdin "$policy"
  fi
  "$@"
)

# system_services — those of Docker that are installed.
system_services() {
  local unit
  for unit in docker.service docker.socket containerd.service; do
    if [ -e "/lib/systemd/system/$unit" ]; then echo "$unit"; fi
  done
}

# disable_services UNIT… — nor is it started at the next boot, by systemd or by a System V init.
disable_services() {
  local unit
  for unit; do
    if command -v systemctl >/dev/null; then systemctl disable "$unit"; fi
    if [ -e "/etc/init.d/${unit%.*}" ]; then update-rc.d "${unit%.*}" disable; fi
  done
}

# need_packages PACKAGE[:COMMAND]… — installs what is missing. With COMMAND, any package that provides it will do: Docker's
# own docker-ce instead of docker.io, for one.
need_packages() {
  local spec package missing=() before new
  for spec; do
    package=${spec%%:*}
    if [ "$spec" != "$package" ] && command -v "${spec#*:}" >/dev/null; then continue; fi
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "no apt-get here: install these by hand: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  before=$(system_services)
  apt-get -q update
  without_services apt-get -qy -o Dpkg::Use-Pty=0 install --no-install-recommends "${missing[@]}"
  mapfile -t new < <(comm -13 <(sort <<<"$before") <(system_services | sort))
  disable_services "${new[@]}"
}

# node_is_new_enough COMMAND… — whether the `node` that COMMAND (env, as_user NAME) finds can run rlkit.
node_is_new_enough() {
  "$@" node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'
}

# need_node — rlkit runs on the Node of the machine; the newer one that the build and the tests want comes with `npm ci`.
need_node() {
  command -v node >/dev/null && command -v npm >/dev/null ||
    die "node and npm must be on PATH (now $PATH): install Node 20.19 or newer from https://nodejs.org"
  node_is_new_enough env || die "$(command -v node) is $(node --version); rlkit needs 20.19 or newer"
}

# in_repository COMMAND [ARG…] — runs it in the repository. After `sudo scripts/…` that is done as the checkout's owner, who
# would otherwise find files of root in it.
in_repository() {
  local owner
  owner=$(stat -c %U "$TOP")
  if [ "$owner" != root ] && [ "$owner" = "${SUDO_USER:-}" ]; then
    runuser -u "$owner" -- env -C "$TOP" "HOME=$(getent passwd "$owner" | cut -d: -f6)" "$@"
  else
    env -C "$TOP" "$@"
  fi
}

install_dependencies() {
  # npm writes this file last.
  if [ "$TOP/node_modules/.package-lock.json" -nt "$TOP/package-lock.json" ]; then return; fi
  in_repository npm ci --no-progress
}

build() {
  local stamp=$TOP/build/built sources
  sources=("$TOP"/{src,native,scripts,package.json,package-lock.json,node_modules/.package-lock.json})
  if [ -e "$stamp" ] && [ -x "$TOP/dist/bin/rlkit" ] && [ -z "$(find "${sources[@]}" -newer "$stamp" -print -quit)" ]; then
    return
  fi
  in_repository npm run build
  in_repository mkdir -p build
  in_repository touch build/built
}

# --- an ordinary user -------------------------------------------------------------------------------------------------

# open_device PATH MAJOR MINOR — lets ordinary users open it, as on every machine with udev; containers and small virtual
# machines often come without it or with it closed.
open_device() {
  local path=$1
  if [ ! -e "$path" ]; then
    modprobe -q "${path##*/}" 2>/dev/null || : # a kernel without modules has it built in
    [ -e "$path" ] || { mkdir -p "${path%/*}" && mknod "$path" c "$2" "$3"; } || die "cannot make the device $path"
  fi
  if ! setpriv --reuid=65534 --regid=65534 --clear-groups sh -c ": <>$path" 2>/dev/null; then chmod 0666 "$path"; fi
}

# has_subids FILE USER — true when FILE (/etc/subuid, /etc/subgid) gives USER a range that is large enough for images.
has_subids() {
  awk -F: -v name="$2" -v uid="$(id -u "$2")" '($1 == name || $1 == uid) && $3 >= 65536 { ok = 1 } END { exit !ok }' "$1"
}

# free_subid — the first number above every range in use.
free_subid() {
  awk -F: 'BEGIN { free = 100000 } NF == 3 && $2 + $3 > free { free = $2 + $3 } END { print free }' /etc/subuid /etc/subgid
}

# make_user NAME — an ordinary user with subordinate ids and a runtime directory, which nothing but a login makes otherwise.
make_user() {
  local name=$1 uid first
  id -u "$name" >/dev/null 2>&1 || useradd -m -s /bin/bash "$name"
  uid=$(id -u "$name")
  touch /etc/subuid /etc/subgid
  first=$(free_subid)
  has_subids /etc/subuid "$name" || usermod --add-subuids "$first-$((first + 65535))" "$name"
  has_subids /etc/subgid "$name" || usermod --add-subgids "$first-$((first + 65535))" "$name"
  mkdir -p /run/user
  [ -d "/run/user/$uid" ] || install -d -m 0700 -o "$uid" -g "$(id -g "$name")" "/run/user/$uid"
}

# user_command NAME — sets the array AS_USER: what to write before a command to run it as NAME, with the environment of a
# login and nothing of root's. No su or runuser: they want PAM, and stay in between as a parent.
user_command() {
  local name=$1 uid home path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin node
  uid=$(id -u "$name")
  home=$(getent passwd "$name" | cut -d: -f6)
  node=$(command -v node) && node=${node%/*}
  case :$path: in *:"$node":*) ;; *) path=$node:$path ;; esac
  AS_USER=(
    setpriv "--reuid=$uid" "--regid=$(id -g "$name")" --init-groups
    env -i -C "$home" "HOME=$home" "USER=$name" "LOGNAME=$name" SHELL=/bin/bash "PATH=$path" "TERM=${TERM:-dumb}" LANG=C.UTF-8
    "XDG_RUNTIME_DIR=/run/user/$uid"
  )
}

# as_user NAME COMMAND [ARG…]
as_user() {
  local AS_USER
  user_command "$1"
  shift
  "${AS_USER[@]}" "$@"
}

# processes_of NAME — the processes that run under NAME's id or one of its subordinate ids.
processes_of() {
  local name=$1 uid status key value _ state
  uid=$(id -u "$name")
  for status in /proc/[0-9]*/status; do
    state=
    while read -r key value _; do
      case $key in
        State:) state=$value ;;
        Uid:) break ;;
      esac
    done 2>/dev/null <"$status" || continue # it ended meanwhile
    [ "$state" != Z ] || continue
    [ "$key" = Uid: ] || continue
    if [ "$value" = "$uid" ] || owns_subid "$name" "$value"; then
      printf '%s %s\n' "$(cut -d/ -f3 <<<"$status")" "$(tr '\0' ' ' <"${status%status}cmdline" 2>/dev/null)"
    fi
  done
}

owns_subid() {
  [ "$2" -ge 100000 ] || return 1
  awk -F: -v name="$1" -v id="$2" '$1 == name && id >= $2 && id < $2 + $3 { ok = 1 } END { exit !ok }' /etc/subuid
}
