#!/bin/sh
# Installs the Debian packages that are missing for the named sets: tools/setup.sh build [test] [check].
# Asks nothing of the network when all are there. Needs root or sudo only when something is missing.
set -eu
here=$(dirname "$0")
missing=""
for wanted in "$@"; do
  while read -r set package proof; do
    case "$set" in ''|'#'*) continue ;; esac
    [ "$set" = "$wanted" ] || continue
    if [ -n "${proof:-}" ] && [ -e "$proof" ]; then continue; fi
    if dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed'; then continue; fi
    missing="$missing $package"
  done < "$here/packages.txt"
done
[ -n "$missing" ] || exit 0
if ! command -v apt-get >/dev/null 2>&1; then
  echo "setup: this machine has no apt-get; install the counterparts of:$missing" >&2
  exit 1
fi
as_root=""
if [ "$(id -u)" != 0 ]; then
  if ! command -v sudo >/dev/null 2>&1; then
    echo "setup: these Debian packages are missing and neither root nor sudo is at hand:$missing" >&2
    echo "setup: run as root: apt-get install --no-install-recommends$missing" >&2
    exit 1
  fi
  as_root=sudo
fi
echo "setup: installing$missing"
log=$(mktemp)
if ! { $as_root apt-get update && $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "setup: apt-get failed; its whole output is in $log" >&2
  exit 1
fi
rm -f "$log"
