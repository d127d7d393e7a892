#!/bin/sh
# Puts what counts instructions into the folder of a Debian for ARM: this machine's QEMU, which takes
# plugins, with its libraries, the plugin `count.c`, and a Python that runs under them:
#
#     /opt/counted/python FILE PROGRAM ARGUMENTS...     counts go into FILE
#
# A machine whose QEMU takes no plugins, as a static one, gets nothing; then nothing is counted.
set -eu
root=$1
here=$(cd "$(dirname "$0")" && pwd)
counted=$root/opt/counted
left_out() {
    echo "instructions are not counted: $1" >&2
    rm -rf "$counted"
    exit 0
}

[ "$(uname -m)" = x86_64 ] || left_out "this machine has no QEMU for ARM, or needs none"
qemu=$(command -v qemu-aarch64) || left_out "qemu-aarch64 is missing: apt-get install qemu-user"
command -v gcc >/dev/null || left_out "gcc is missing: apt-get install gcc libc6-dev"
mkdir -p "$counted"
ldd "$qemu" | grep -o '/[^ ]*' | xargs -I{} cp -L {} "$counted/"
cp "$qemu" "$counted/qemu-aarch64"
probe=$(mktemp)
trap 'rm -f "$probe"' EXIT
for version in 1 2 3 4 5 6; do # of the interface to plugins
    gcc -O2 -Wall -Werror -Wextra -shared -fPIC -DVERSION=$version -o "$counted/count.so" "$here/count.c"
    if "$qemu" -L "$root" -plugin "$counted/count.so,out=$probe" "$root/bin/true" 2>/dev/null; then break; fi
done
[ -s "$probe" ] || left_out "$qemu takes no plugins, or of another version"
cat >"$counted/python" <<'END'
#!/bin/sh
out=$1
program=$2
shift 2
exec /opt/counted/ld-linux-x86-64.so.2 --library-path /opt/counted /opt/counted/qemu-aarch64 \
    -plugin /opt/counted/count.so,out="$out" "$program" "$@"
END
chmod 755 "$counted/python"
