#!/bin/sh
# Install the programs that the tests run for real, where that can be done without asking: as root, on
# Debian, only what is missing and what BONAFIDE_SKIP does not name. Elsewhere nothing happens here, and
# the test that needs a program fails with the line to type.
set -eu

wanted=""

skipped() {
    case ",${BONAFIDE_SKIP:-}," in *",$1,"*) return 0 ;; esac
    return 1
}

want() { # program, Debian package
    skipped "$1" || wanted="$wanted $2"
}

"${1:-python3.11}" -c 'import ensurepip' 2>/dev/null || want venv python3-venv
command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || want initdb postgresql
command -v git >/dev/null || want git git

[ -n "$wanted" ] || exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
echo "Installing what the tests need:$wanted"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 - a list of package names
apt-get install --yes --no-install-recommends $wanted
