"""The virtual Pi: a small Debian 13 under QEMU, whole in memory, with the interfaces of a Pi.

It is built once, and kept in the cache of the servers; an interrupted build goes on from what was
fetched. Nothing that a run writes outlives it.

QEMU emulates a processor of 1 GHz that takes one nanosecond for each instruction, and none to
wait (`-icount`). So times in the machine do not depend on how busy this one is.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import path
from tests.servers import fetching, needs

HERE = Path(__file__).parent
PYTHON = "3.13"  # of Debian 13
# What Raspberry Pi OS has in its own packages, and Debian has not.
LGPIO, RPI_LGPIO = "lgpio==0.2.2.0", "rpi-lgpio==0.6"
REQUIREMENTS = path.ROOT / "requirements-pi.txt"
TEST_PACKAGES = ("pytest>=9,<10", "pytest-timeout>=2.4,<3")

NEEDS = (
    needs.program("qemu-system-x86_64", "qemu-system-x86", "--version"),
    needs.program("cpio", "cpio", "--version"),
    needs.program("git", "git", "--version"),
)
BUILD_NEEDS = (
    *NEEDS,
    needs.program("apt-get", "apt", "--version"),
    needs.program("dpkg-deb", "dpkg", "--version"),
    needs.program("unshare", "util-linux", "-Urm", "true"),
)

_COMMAND_LINE = (
    "console=ttyS0 quiet loglevel=3 panic=-1 random.trust_cpu=on "
    # as a Raspberry Pi's: else whoever reads the trace of the pulses makes some of them late
    "preempt=full "
    # what a machine that ends soon can do without
    "acpi=off mitigations=off cryptomgr.notests audit=0 apparmor=0 nokaslr"
)
_MEMORY = "2G"  # most of it twice the size of root.cpio


@dataclass(frozen=True)
class Image:
    """Kernel and files from which the machine boots."""

    folder: Path

    @property
    def kernel(self) -> Path:
        """The kernel."""
        return self.folder / "vmlinuz"

    @property
    def root(self) -> Path:
        """The files, as an archive of cpio."""
        return self.folder / "root.cpio"


def image() -> Image:
    """Return the image, which is built if it is not in the cache.

    Raises:
        Missing: this machine lacks a program, or a package cannot be fetched.
    """
    name = image_name()
    needs.require(NEEDS if fetching.is_cached(name) else BUILD_NEEDS)
    return Image(fetching.cached(name, _build))


def image_name() -> str:
    """Return the name of its folder in the cache: another one when what it is made of changes."""
    sources = [*sorted(HERE.glob("module/*")), HERE / "build.sh", HERE / "init", REQUIREMENTS]
    texts = (*(file.read_text() for file in sources), LGPIO, RPI_LGPIO, *TEST_PACKAGES)
    return f"virtual-pi-{sha256(''.join(texts).encode()).hexdigest()[:12]}"


def _build(folder: Path) -> None:
    fetching.say("building the virtual Pi from Debian's packages (230 MB), once; some minutes")
    downloads = fetching.cache() / "virtual-pi-downloads"
    with TemporaryDirectory(dir=folder) as temporary:
        packages, sources = Path(temporary, "packages"), Path(temporary, "sources")
        _fetch_python_packages(packages, sources)
        (lgpio,) = sources.iterdir()
        build = [HERE / "build.sh", folder, downloads, packages, lgpio]
        remedy = "DEBIAN_MIRROR names another mirror, and DEBIAN_KEYRING its keys"
        fetching.run(["sh", *map(str, build)], remedy=remedy)


def _fetch_python_packages(packages: Path, sources: Path) -> None:
    """Fetch what the documentation installs on a Pi, for the machine's Python."""
    remedy = "is the package index reached? `uv pip` knows proxies and mirrors from its variables"
    install = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-build")
    install += ("--python-version", PYTHON, "--python-platform", "x86_64-manylinux_2_40")
    install += ("--target", str(packages))
    fetching.run([*install, "-r", str(REQUIREMENTS), *TEST_PACKAGES], remedy=remedy)
    fetching.run([*install, "--no-deps", RPI_LGPIO], remedy=remedy)
    fetching.run_pip("download", "--no-binary", ":all:", "--dest", str(sources), LGPIO)


def start(image: Image, tests: Iterable[str], folder: Path) -> "subprocess.Popen[bytes]":
    """Start a machine that runs these tests of this checkout, given by their pytest ids.

    `folder` gets what is needed to boot, `reports` with the reports of `reporting.py`, and
    `console` with all that the machine prints.
    """
    checkout = folder / "checkout"
    _copy_checkout(checkout / "root" / "patate")
    (checkout / "run").mkdir()
    (checkout / "run" / "tests").write_text("".join(f"{test}\n" for test in tests))
    files = folder / "files.cpio"
    with files.open("wb") as archive:
        with image.root.open("rb") as root:
            shutil.copyfileobj(root, archive)
        archive.flush()
        pack = "find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0"
        subprocess.run(["sh", "-c", pack], cwd=checkout, stdout=archive, check=True)
    (folder / "reports").touch()
    with (folder / "console").open("wb") as console:
        return subprocess.Popen(
            _qemu(image.kernel, files, folder / "reports"),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for pytest, which ends the machine
        )


def _qemu(kernel: Path, files: Path, reports: Path) -> Sequence[str]:
    """Return the command that boots the machine."""
    return [
        *("qemu-system-x86_64", "-machine", "q35", "-cpu", "max,-erms,-fsrm", "-m", _MEMORY),
        *("-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-serial", "stdio", "-serial", f"file:{reports}"),
        *("-kernel", str(kernel), "-initrd", str(files), "-append", _COMMAND_LINE),
    ]


def _copy_checkout(target: Path) -> None:
    """Copy the checkout's files that git tracks, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=path.ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        source, copy = path.ROOT / name, target / name
        if source.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, copy, follow_symlinks=False)
