#!/usr/bin/env bash
# test.sh: every gate and every test, on a machine with Node 20.19 or newer (root, or sudo). Installs what is missing. The last
# line is "N passed, N failed[, N skipped]", summed over all test programs; the status is 0 only if nothing failed.
set -euo pipefail
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$TOP/scripts/lib.sh"
become_root "$0" "$@"

[ -t 1 ] || export NO_COLOR=1
RESULTS=$(mktemp -d)
chown "$(stat -c %u "$TOP")" "$RESULTS" # what runs as the checkout's owner writes there too
LOG=$RESULTS/install.log
STEP=
timings=()
passed=0 failed=0 skipped=0

finish() {
  local status=$?
  exec 1>&"$OUT" 2>&"$ERR"
  if [ -n "$STEP" ]; then
    printf '\ntest.sh: failed at: %s\n' "$STEP" >&2
    tail -n 40 "$LOG" >&2
    echo "0 passed, 1 failed"
  fi
  rm -rf "$RESULTS"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# stage NAME COUNT COMMAND [ARG…] — runs COMMAND, shows its output and goes on whatever its status is; then COUNT NAME prints
# "passed failed skipped". A stage that fails without a failed test (a lint error, a crash) counts as one.
stage() {
  local name=$1 count=$2 began=$SECONDS status=0 p f s
  shift 2
  printf '\n=== %s\n' "$name"
  "$@" </dev/null 2>&1 | tee "$RESULTS/$name.out" || status=$?
  read -r p f s < <("$count" "$name")
  if [ "$status" != 0 ] && [ "$f" = 0 ]; then f=1; fi
  passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
  timings+=("$(printf '%-18s %4d s   %d passed, %d failed, %d skipped' "$name" $((SECONDS - began)) "$p" "$f" "$s")")
}

# vitest's own count, from its JSON report.
count_vitest() {
  node -e '
    const { readFileSync } = require("node:fs");
    let r = {};
    try { r = JSON.parse(readFileSync(process.argv[1], "utf8")); } catch (e) { if (e.code !== "ENOENT") throw e; } // it did not start
    const { numPassedTests: p = 0, numFailedTests: f = 0, numPendingTests: s = 0, numTodoTests: t = 0 } = r;
    console.log(p, f, s + t);' "$RESULTS/$1.json"
}

# Each native test program ends with a line "N passed, M failed".
count_native() {
  awk '/^[0-9]+ passed, [0-9]+ failed/ { p += $1; f += $3 } END { print p + 0, f + 0, 0 }' "$RESULTS/$1.out"
}

need_node
step "packages" need_packages uidmap slirp4netns passt docker.io:dockerd rootlesskit fuse-overlayfs gcc make libc6-dev \
  musl-tools busybox-static:busybox iptables nftables iproute2 procps bsdutils lxc dnsmasq-base:dnsmasq \
  runit s6 \
  clang libclang-rt-dev
step "npm ci" install_dependencies
step "npm run build" build
step "/dev/net/tun" open_device /dev/net/tun 10 200
step "/dev/fuse" open_device /dev/fuse 10 229

report() { printf '%s ' --reporter=default --reporter=json "--outputFile.json=$RESULTS/$1.json"; }
# The last gate of `check` is the unit tests' vitest: npm hands it what follows the second `--`.
# shellcheck disable=SC2046  # one word per option
stage check count_vitest in_repository npm run check -- -- $(report check)
stage native count_native in_repository make -k -C native test
stage fuzz count_native in_repository make -k -C native fuzz
# shellcheck disable=SC2046
stage behaviour count_vitest npm --prefix "$TOP" test -- $(report behaviour)

printf '\n=== timings\n'
printf '%s\n' "${timings[@]}"
printf 'all in all         %4d s\n\n' "$SECONDS"
summary="$passed passed, $failed failed"
[ "$skipped" = 0 ] || summary+=", $skipped skipped"
echo "$summary"
[ "$failed" = 0 ]
