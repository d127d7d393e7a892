#!/bin/sh
# Follows docs/raspberry_pi.md on a Debian for 64-bit ARM, counts, and tests; see __init__.py.
#
#     sudo sh tests/environments/arm64/run.sh bookworm              # or trixie
#     sudo sh tests/environments/arm64/run.sh bookworm costs        # one step: commands, costs, tests
#
# What is not committed is not tried. The variables are those of fresh_machine.sh; with an empty
# PATATE_FRESH_ARCH it is this machine's processor, in a few minutes. What the page's commands left
# is kept: the further steps begin with it, until the page, the requirements or the day are others.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../../.." && pwd)
suite=$1
shift
[ $# -gt 0 ] || set -- commands costs tests
export PATATE_FRESH_ARCH="${PATATE_FRESH_ARCH-arm64}"
# What a card of Raspberry Pi OS Lite has; everything else is installed as the page says.
export PATATE_FRESH_PACKAGES=ca-certificates,python3,sudo,systemd
export PATATE_FRESH_CACHE=1
[ -z "$PATATE_FRESH_ARCH" ] || export PATATE_FRESH_PREPARE="$here/prepare.sh"

roots=${PATATE_ROOTS:-${XDG_CACHE_HOME:-$HOME/.cache}/patate-roots}
followed=$suite${PATATE_FRESH_ARCH:+-$PATATE_FRESH_ARCH}-followed
kept=$followed-$({
    date +%F
    cat "$checkout/docs/raspberry_pi.md" "$checkout"/requirements*.txt "$here"/*.py
} | cksum | cut -d' ' -f1)

run() {
    sh "$here/../fresh_machine.sh" "$suite" python3 -m tests.environments.arm64 "$1"
}

for step in "$@"; do
    if [ "$step" = commands ]; then
        if [ ! -d "$roots/$kept" ]; then
            rm -rf --one-file-system "$roots/$followed"-*
            PATATE_FRESH_SAVE=$kept run commands
        else
            echo "followed before, today, and kept: $roots/$kept"
        fi
    elif [ -d "$roots/$kept" ]; then
        PATATE_FRESH_FROM=$kept run "$step"
    else
        echo "run.sh: the page's commands come first: sh $0 $suite" >&2
        exit 2
    fi
done
