#!/bin/sh
# Makes the kernel and the files of the virtual Pi, from Debian's packages:
#
#     sh tests/environments/virtual_pi/build.sh OUTPUT DOWNLOADS PYTHON_PACKAGES LGPIO
#
# OUTPUT           an empty folder: gets vmlinuz, and root.cpio, from which the machine boots
# DOWNLOADS        keeps what was fetched, so that an interrupted build goes on from there
# PYTHON_PACKAGES  a folder with them, for the machine's Python; becomes /opt/python
# LGPIO            the source of lgpio, which Debian lacks, as PyPI has it; there are no wheels
#
# Packages are unpacked and not installed, so no root is needed. DEBIAN_MIRROR and DEBIAN_KEYRING as
# in fresh_machine.sh.
set -eu

SUITE=trixie
RUN="base-files dash coreutils grep sed libc-bin libstdc++6 util-linux mount kmod udev python3 python3-evdev"
BUILD="linux-image-amd64 linux-headers-amd64 make gcc libc6-dev libpython3-dev swig"
# The drivers of a Pi's parts, and those that play the parts.
MODULES="evdev joydev xpad hid-generic hid-microsoft uhid uinput dummy_hcd usb_f_fs i2c-dev i2c-stub"
# Documentation, translations, and descriptions of other hardware.
UNUSED="--exclude=./usr/share/doc --exclude=./usr/share/man --exclude=./usr/share/info
    --exclude=./usr/share/locale --exclude=./usr/share/bug --exclude=./usr/share/lintian
    --exclude=./usr/lib/udev/hwdb.d"

here=$(cd "$(dirname "$0")" && pwd)
output=$1
downloads=$2
python_packages=$3
lgpio=$4
root=$output/root      # of the machine
builder=$output/build  # where its kernel's module is compiled

apt=$downloads/apt
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/none" "$root" "$builder"
: >"$apt/status"
cat >"$apt/apt.conf" <<END
Dir::State "$apt";
Dir::State::status "$apt/status";
Dir::State::lists "$apt/lists";
Dir::Cache "$apt";
Dir::Cache::archives "$apt/archives";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "$apt/none";
Dir::Etc::preferencesparts "$apt/none";
APT::Architecture "amd64";
APT::Architectures { "amd64"; };
APT::Install-Recommends "false";
APT::Sandbox::User "root";
END
mirror=${DEBIAN_MIRROR:-$(env -u APT_CONFIG apt-get indextargets --format '$(REPO_URI) $(ORIGIN)' |
    awk '$2 == "Debian" && $1 !~ /security/ { sub("/$", "", $1); print $1; exit }')}
keyring=${DEBIAN_KEYRING:-/usr/share/keyrings/debian-archive-keyring.gpg}
echo "deb [signed-by=$keyring] ${mirror:-http://deb.debian.org/debian} $SUITE main" >"$apt/sources.list"
export APT_CONFIG="$apt/apt.conf"

# Prints the files of these packages and of all that they depend on, from lines such as
# "Inst make (4.4.1-2 Debian:13.6/stable [amd64])".
files_of() {
    apt-get install --simulate "$@" | sed -n 's/[][()]//g; s/:/%3a/g; s/^Inst //p' |
        awk -v folder="$apt/archives" '{ print folder "/" $1 "_" $2 "_" $NF ".deb" }'
}

unpack_into() {
    folder=$1
    shift
    for file in "$@"; do
        dpkg-deb --fsys-tarfile "$file" | tar -x -C "$folder" $UNUSED
    done
}

apt-get -q update
apt-get -q install --yes --download-only $RUN $BUILD
unpack_into "$root" $(files_of $RUN)
unpack_into "$builder" $(files_of $RUN $BUILD)
ln -s mawk "$builder/usr/bin/awk"  # as mawk's own script would

# Runs a command with a folder as its root; the compiler needs /dev/null.
run_in() {
    unshare --map-root-user --mount sh -ec '
        mkdir -p "$1/dev" "$1/proc"
        mount --rbind /dev "$1/dev"
        mount --rbind /proc "$1/proc"
        folder=$1
        shift
        exec chroot "$folder" /usr/bin/env -i PATH=/usr/sbin:/usr/bin LANG=C.UTF-8 "$@"
    ' sh "$@"
}

kernel=$(basename "$(ls -d "$builder"/usr/lib/modules/*-amd64)")
modules=usr/lib/modules/$kernel
cp "$builder/boot/vmlinuz-$kernel" "$output/vmlinuz"
cp -r "$here/module" "$builder/module"
run_in "$builder" make -s -C "/usr/src/linux-headers-$kernel" M=/module modules
mkdir -p "$root/$modules"
cp "$builder/module/virtual_pi.ko" "$builder/$modules"/modules.* "$root/$modules"
run_in "$builder" depmod "$kernel"
run_in "$builder" modprobe --set-version "$kernel" --show-depends --all $MODULES |
    sed -n 's/^insmod \([^ ]*\).*/\1/p' | sort -u | while read -r module; do
    xz -dc "$builder/$module" >"$root/$modules/$(basename "$module" .xz)"
done
run_in "$root" depmod "$kernel"

mkdir -p "$root/opt" "$root/etc" "$root/tmp" "$root/run" "$builder/lgpio"
cp -r "$python_packages" "$root/opt/python"
tar -xz --strip-components=1 -C "$builder/lgpio" -f "$lgpio"
run_in "$builder" sh -ec '
    cd /lgpio
    swig -python -Isrc -o lgpio_wrap.c lgpio.i
    gcc -O2 -w -shared -fPIC -pthread -Isrc -I$(echo /usr/include/python3.*) -o _lgpio.so \
        lgpio_wrap.c src/lg*.c src/rgpiod.c'
cp "$builder/lgpio/lgpio.py" "$builder/lgpio/_lgpio.so" "$root/opt/python"
run_in "$root" sh -c 'python3 -m compileall -q -j 0 /usr/lib/python3* /opt/python' >/dev/null || true
cp "$here/init" "$root/init"
chmod 755 "$root/init"
cat >"$root/etc/passwd" <<END
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/sh
END
printf 'root:x:0:\ninput:x:104:\nnogroup:x:65534:\n' >"$root/etc/group"
ln -sf /proc/mounts "$root/etc/mtab"

(cd "$root" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) >"$output/root.cpio"
rm -rf "$root" "$builder"
