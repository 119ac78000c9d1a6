#!/bin/sh
# Install missing programs where that can be done without asking: as root, on Debian, and not those that
# BONAFIDE_SKIP names. Elsewhere nothing happens here, and what needs a program fails with the line to type.
#
#     sh tools/programs.sh PYTHON NAME...
set -eu

python=$1
shift
PATH="$PATH:/usr/sbin:/sbin"  # where Debian puts servers, and not every user looks
packages=""
for name in "$@"; do
    case ",${BONAFIDE_SKIP:-}," in *",$name,"*) continue ;; esac
    case $name in
        venv) "$python" -c 'import ensurepip' 2>/dev/null || packages="$packages python3-venv" ;;
        initdb) [ -n "$(command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null)" ] || packages="$packages postgresql" ;;
        systemd-analyze) command -v systemd-analyze >/dev/null || packages="$packages systemd" ;;
        libcrypto) pkg-config --exists libcrypto 2>/dev/null || packages="$packages libssl-dev" ;;
        readelf) command -v readelf >/dev/null || packages="$packages binutils" ;;
        softhsm2-util) command -v softhsm2-util >/dev/null || packages="$packages softhsm2" ;;
        *) command -v "$name" >/dev/null || packages="$packages $name" ;;
    esac
done

[ -n "$packages" ] || exit 0
[ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || exit 0
echo "Installing with apt-get:$packages"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086 - a list of package names
apt-get install -qq --yes --no-install-recommends $packages >/dev/null
