"""A real S3 in a plain folder: versitygw.

with Versity() as server:
    bucket = server.gateway.make_bucket()
    server.gateway.url, server.gateway.writer.name, server.gateway.writer.secret
"""

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from tests.servers import fetch
from tests.servers.addresses import REGION, Gateway, Login
from tests.servers.server import Server, ServerFailed


class Versity(Server):
    """A versitygw on `host`, with an admin, a writer and a searcher."""

    name = "versitygw"

    def __init__(
        self, folder: Path | None = None, life: Path | None = None, *, versions: bool = False
    ) -> None:
        self._program = fetch.versitygw()
        self._versions = versions
        super().__init__(folder, life)

    @cached_property
    def gateway(self) -> Gateway:
        """The address, which a restart keeps, and the logins, which the folder keeps."""
        return Gateway(url=f"http://{self.host}:{self.port}", **self.logins())

    def prepare(self) -> None:
        """Create the folders."""
        for name in ("buckets", "users", "versions", "attributes"):
            (self.folder / name).mkdir(exist_ok=True)

    def command(self) -> Sequence[str]:
        """Return the command, with a folder for attributes if the file system has none."""
        command = [str(self._program), "--port", f"{self.host}:{self.port}", "--region", REGION]
        command += ["--quiet", "--keep-alive", "--health", "/_health"]
        command += ["--iam-dir", str(self.folder / "users"), "posix"]
        if self._versions:
            command += ["--versioning-dir", str(self.folder / "versions")]
        if not _keeps_attributes(self.folder):
            command += ["--sidecar", str(self.folder / "attributes")]
        return [*command, str(self.folder / "buckets")]

    def environment(self) -> Mapping[str, str]:
        """Return the admin's login."""
        admin = self.gateway.admin
        return {"ROOT_ACCESS_KEY": admin.name, "ROOT_SECRET_KEY": admin.secret}

    def is_ready(self) -> bool:
        """Return whether it answers; if so, create writer and searcher."""
        try:
            with urllib.request.urlopen(f"{self.gateway.url}/_health", timeout=60):
                pass
        except urllib.error.HTTPError as error:
            error.close()  # else Python 3.13 warns, in whatever test runs then
            return False
        except OSError:
            return False
        known = (self.folder / "users" / "users.json").read_text()
        for login in (self.gateway.writer, self.gateway.searcher):
            if f'"{login.name}"' not in known:
                self._make_user(login)
        return True

    def _make_user(self, login: Login) -> None:
        """Create a user, who has no rights until a bucket's policy grants some."""
        admin = self.gateway.admin
        command = [str(self._program), "admin", "--endpoint-url", self.gateway.url]
        command += ["create-user", "--access", login.name, "--role", "user"]
        made = subprocess.run(
            [*command, "--secret", login.secret],
            env={"ADMIN_ACCESS_KEY": admin.name, "ADMIN_SECRET_KEY": admin.secret},
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode != 0:
            raise ServerFailed(f"{self.name} refuses the user {login.name}: {made.stderr.strip()}")


def _keeps_attributes(folder: Path) -> bool:
    """Return whether files there can have user attributes, which hold the metadata."""
    if not hasattr(os, "setxattr"):
        return True
    try:
        os.setxattr(folder, "user.patate", b"")
    except OSError:
        return False
    return True
