#!/bin/sh
# Runs a command in a fresh clone of this checkout on a bare Debian:
#
#     sudo sh tests/environments/fresh_machine.sh trixie                     # make demo, then make test
#     sudo sh tests/environments/fresh_machine.sh bookworm make check        # or any other command
#
# The Debian has ca-certificates, python3, python3-venv, make and git, and nothing of this machine but
# how the network is reached: resolver, certificates, and the settings of apt, pip, npm, Maven and Go.
# What the checkout has not committed is not tried. Exits with the command's exit code.
#
# PATATE_ROOTS           where the Debians are kept, each made once; default ~/.cache/patate-roots
# DEBIAN_MIRROR          default: the one that apt uses here, else http://deb.debian.org/debian
# DEBIAN_KEYRING         keys of that mirror, where this machine's are older than the Debian
# PATATE_FRESH_VARIABLES names of more variables for the command, such as CI
# PATATE_FRESH_KEEP      1 keeps what the command left, and says where
# PATATE_FRESH_ARCH      another architecture: arm64. QEMU runs its programs, registered with the
#                        kernel until the machine restarts
# PATATE_FRESH_PACKAGES  what the Debian has instead, comma-separated
# PATATE_FRESH_PREPARE   a program that is run before the command, with the Debian's folder
# PATATE_FRESH_CACHE     1 keeps what pip downloads, beside the Debians
# PATATE_FRESH_SAVE      a name, under which what a successful command left is kept beside the Debians
# PATATE_FRESH_FROM      the name that such a run has had: begins with what it left
set -eu

PACKAGES=${PATATE_FRESH_PACKAGES:-ca-certificates,python3,python3-venv,make,git}
VARIABLES="TERM http_proxy https_proxy no_proxy HTTP_PROXY HTTPS_PROXY NO_PROXY ALL_PROXY
    SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE CURL_CA_BUNDLE GIT_SSL_CAINFO NODE_EXTRA_CA_CERTS
    PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_TRUSTED_HOST PIP_CERT PIP_DEFAULT_TIMEOUT
    NPM_CONFIG_REGISTRY NPM_CONFIG_CAFILE npm_config_registry npm_config_cafile
    GOPROXY GOSUMDB GONOSUMDB GONOSUMCHECK GONOPROXY GOPRIVATE GOINSECURE
    ${PATATE_FRESH_VARIABLES:-}"

fail() {
    echo "fresh_machine.sh: $1" >&2
    exit "${2:-1}"
}

[ $# -ge 1 ] || fail "name a Debian: bookworm or trixie" 2
suite=$1
shift
[ $# -gt 0 ] || set -- sh -c "make demo && make test"
arch=${PATATE_FRESH_ARCH:-}
case $arch in
'' | arm64) ;;
*) fail "PATATE_FRESH_ARCH is arm64 or empty, not $arch" 2 ;;
esac
[ "$(id -u)" = 0 ] || fail "only root can make a Debian and enter it; use sudo"
PATH=$PATH:/usr/sbin:/sbin
for needed in debootstrap:debootstrap unshare:util-linux pivot_root:util-linux git:git; do
    command -v "${needed%:*}" >/dev/null ||
        fail "${needed%:*} is missing; install it: apt-get install ${needed#*:}"
done

checkout=$(cd "$(dirname "$0")/../.." && pwd)
roots=${PATATE_ROOTS:-${XDG_CACHE_HOME:-$HOME/.cache}/patate-roots}
base=$roots/$suite${arch:+-$arch}
[ -z "${PATATE_FRESH_PACKAGES:-}" ] || base=$base-with-$(echo "$PACKAGES" | cksum | cut -d' ' -f1)
mkdir -p "$roots/packages"

# Lets the kernel run programs of an ARM with 64 bit, in every root: with F it opens QEMU now.
emulate_arm64() {
    [ "$(uname -m)" != aarch64 ] || return 0
    handlers=/proc/sys/fs/binfmt_misc
    [ -e $handlers/register ] || mount -t binfmt_misc binfmt_misc $handlers ||
        fail "the kernel cannot be told of QEMU: it has no binfmt_misc"
    if grep -qs 'flags:.*F' $handlers/qemu-aarch64; then return 0; fi
    qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)
    [ -n "$qemu" ] && ! ldd "$qemu" 2>/dev/null | grep -q libc ||
        fail "a static QEMU is missing; install it: apt-get install qemu-user-static"
    [ ! -e $handlers/qemu-aarch64 ] || echo -1 >$handlers/qemu-aarch64
    # ELF, 64 bit, little endian, a program or a library, for the machine 0xb7
    magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
    mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
    printf '%s' ":qemu-aarch64:M::$magic:$mask:$qemu:F" >$handlers/register
}
[ -z "$arch" ] || emulate_arm64

# The mirror of Debian itself that apt uses here, if it can be told.
mirror_of_apt() {
    command -v apt-get >/dev/null || return 0
    apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(CODENAME)' 2>/dev/null |
        awk '$2 == "Debian" && $1 !~ /security/ { sub("/$", "", $1); print $1; exit }'
}

make_base() {
    mirror=${DEBIAN_MIRROR:-$(mirror_of_apt)}
    mirror=${mirror:-http://deb.debian.org/debian}
    echo "making a bare Debian $suite from $mirror, once; some minutes" >&2
    rm -rf "$base.part"
    debootstrap --variant=minbase --include="$PACKAGES" \
        --cache-dir="$roots/packages" ${arch:+--arch=$arch} \
        ${DEBIAN_KEYRING:+--keyring="$DEBIAN_KEYRING"} "$suite" "$base.part" "$mirror" \
        >"$base.log" 2>&1 || fail "debootstrap failed, see $base.log: $(tail -n 1 "$base.log"). If a \
key is unknown, update the package debian-archive-keyring or name keys by DEBIAN_KEYRING"
    mv "$base.part" "$base"
}

# How this machine reaches the network, and nothing else of it.
pass_in() {
    for file in /etc/resolv.conf /etc/hosts /etc/pip.conf; do
        [ ! -f $file ] || cp -L $file "$root$file"
    done
    for file in .config/pip/pip.conf .pip/pip.conf .npmrc .m2/settings.xml .config/go/env; do
        [ ! -f "$HOME/$file" ] || install -D -m 600 "$HOME/$file" "$root/root/$file"
    done
    if command -v apt-config >/dev/null; then
        apt-config dump | grep -E '^Acquire::(https?|Check-|Retries|ForceIP)' \
            >"$root/etc/apt/apt.conf.d/90this-machine" || true
    fi
    if [ -d /etc/apt/auth.conf.d ]; then
        cp -r /etc/apt/auth.conf.d "$root/etc/apt/"
    fi
    if ls /usr/local/share/ca-certificates/*.crt >/dev/null 2>&1; then
        cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
        if [ -z "$arch" ]; then
            chroot "$root" update-ca-certificates >/dev/null 2>&1
        else # which takes minutes there
            cat /usr/local/share/ca-certificates/*.crt >>"$root/etc/ssl/certs/ca-certificates.crt"
        fi
    fi
}

if [ -n "${PATATE_FRESH_FROM:-}" ]; then
    base=$roots/$PATATE_FRESH_FROM
    [ -d "$base" ] || fail "nothing is kept as $base"
else
    ( # of several runs at once one makes the Debian
        flock 9
        [ -d "$base" ] || make_base
    ) 9>"$base.lock"
fi

root=$(mktemp -d "$roots/$suite-XXXXXX")
leave() {
    if [ "${PATATE_FRESH_KEEP:-}" = 1 ]; then
        [ ! -d "$root" ] || echo "kept: $root" >&2
    else
        rm -rf --one-file-system "$root"
    fi
}
trap leave EXIT
trap 'exit 130' INT TERM HUP
cp -a --reflink=auto "$base/." "$root"
pass_in
pip_cache=
if [ "${PATATE_FRESH_CACHE:-}" = 1 ]; then
    pip_cache=$roots/pip
    mkdir -p "$pip_cache" "$root/root/.cache/pip"
fi
[ -z "${PATATE_FRESH_PREPARE:-}" ] || "$PATATE_FRESH_PREPARE" "$root"
if [ -d "$root/root/patate" ]; then
    git -C "$root/root/patate" fetch -q "$checkout" HEAD
    git -C "$root/root/patate" reset -q --hard FETCH_HEAD
else
    git clone -q "$checkout" "$root/root/patate"
fi
[ -z "$(git -C "$checkout" status --porcelain)" ] ||
    echo "what is not committed in $checkout is not tried" >&2

# One NAME=VALUE per variable that is set, before the command.
for name in $VARIABLES; do
    if eval "[ -n \"\${$name+set}\" ]"; then
        eval "set -- \"$name=\$$name\" \"\$@\""
    fi
done

# A plain chroot would do for pip, but has no user namespaces (which make a Pi for the tests) and no
# mount point for Elasticsearch to tell where its data are.
ENTER='
set -e
root=$1 pip_cache=$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
[ -z "$pip_cache" ] || mount --bind "$pip_cache" "$root/root/.cache/pip"
mkdir -p "$root/mnt/before"
cd "$root"
pivot_root . mnt/before
umount -l /mnt/before
cd /root/patate
# No exec: this shell is the first process here, and reaps what others leave behind.
/usr/bin/env -i HOME=/root SHELL=/bin/sh \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@" || exit $?
'
code=0
unshare --mount --pid --fork --kill-child sh -c "$ENTER" sh "$root" "$pip_cache" "$@" || code=$?
if [ $code = 0 ] && [ -n "${PATATE_FRESH_SAVE:-}" ]; then
    mv -T "$root" "$roots/$PATATE_FRESH_SAVE"
fi
exit $code
