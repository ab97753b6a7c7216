#!/bin/sh
# rlkit: starts Node with rlkit's bundle. Node is the one on PATH, or $RLKIT_NODE. No command is run here but the last.
self=$0
[ -h "$self" ] && self=$(readlink -f "$self")
# Node would read these at start-up (65 ms for Debian's certificates); the target gets them back.
[ -n "${NODE_EXTRA_CA_CERTS+set}" ] && export RLKIT_GIVE_NODE_EXTRA_CA_CERTS="$NODE_EXTRA_CA_CERTS" && unset NODE_EXTRA_CA_CERTS
[ -n "${NODE_OPTIONS+set}" ] && export RLKIT_GIVE_NODE_OPTIONS="$NODE_OPTIONS" && unset NODE_OPTIONS
# Node raises its soft limit of open files to the hard one; the target gets the one that was set.
while read -r a b c soft _; do
  [ "$a $b $c" = "Max open files" ] && export RLKIT_GIVE_OPEN_FILES="$soft" && break
done </proc/self/limits
node=${RLKIT_NODE:-node}
command -v "$node" >/dev/null || {
  echo "rlkit: cannot start: $node is not on PATH. To do: install Node 20.19 or later, or set RLKIT_NODE to its path" >&2
  exit 125
}
# rlkit has no use for OpenSSL, WebAssembly, a pool of threads or resolved links in its path: 1 ms and 0.1 MB less.
exec "$node" --openssl-config=/dev/null --disable-wasm-trap-handler --v8-pool-size=1 --preserve-symlinks-main \
  "${self%/*}/../lib/boot.cjs" "$@"
