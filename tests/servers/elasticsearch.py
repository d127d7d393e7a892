"""A real Elasticsearch with security on.

    with Elasticsearch() as server:
        server.cluster.url, server.cluster.writer.name, server.cluster.writer.secret

Use an index whose name starts with `labels`: the roles of writer and searcher, which are the
project's, are limited to these.
"""

import base64
import hashlib
import json
import os
import pwd
import secrets
import shutil
from collections.abc import Mapping, Sequence
from functools import cached_property
from http.client import HTTPException
from pathlib import Path

import trustme

from tests.servers import fetch, rights
from tests.servers.addresses import Cluster
from tests.servers.server import Server, ServerFailed

INDEXES = "labels*"

_COMPILE_ONCE = "-XX:TieredStopAtLevel=1"  # halves the CPU time of the launcher, a JVM of its own
_TRUST_CLASSES = "-XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
_QUICK_START = f"{_COMPILE_ONCE} {_TRUST_CLASSES} -XX:-UseG1GC -XX:+UseSerialGC -XX:-AlwaysPreTouch"


class Elasticsearch(Server):
    """An Elasticsearch of one node on `host`, with an admin, writers and a searcher.

    With `quick_start` the JVM compiles for a quick start, which halves the CPU time of short runs.
    With `nodes`, the ports at which all nodes of a cluster speak to each other, it is the one of
    `number` among them.
    """

    roles = (*Server.roles, "restricted")

    def __init__(
        self,
        version: str = fetch.ELASTICSEARCH_8,
        folder: Path | None = None,
        life: Path | None = None,
        *,
        heap_mb: int = 512,
        https: bool = False,
        quick_start: bool = True,
        nodes: Sequence[int] = (),
        number: int = 0,
    ) -> None:
        self.name = f"elasticsearch-{version}"
        self._nodes, self._number = nodes, number
        self._home = fetch.elasticsearch(version)
        self._java = fetch.java_for(version)
        self._heap_mb = heap_mb
        self._https = https
        self._quick_start = quick_start
        super().__init__(folder, life)
        if os.geteuid() == 0:  # which Elasticsearch refuses to run as
            self.user = "nobody"

    @cached_property
    def cluster(self) -> Cluster:
        """The address, which a restart keeps, and the logins, which the folder keeps."""
        return Cluster(
            url=f"http{'s' if self._https else ''}://{self.host}:{self.port}",
            ca=str(self.folder / "ca.pem") if self._https else "",
            **self.logins(),
        )

    @property
    def _health(self) -> str:
        """What a cluster that can be used waits for."""
        nodes = len(self._nodes)
        return (
            f"wait_for_status=green&wait_for_nodes={nodes}" if nodes else "wait_for_status=yellow"
        )

    def prepare(self) -> None:
        """Write configuration, certificate and logins; keep the data."""
        config = self.folder / "config"
        shutil.rmtree(config, ignore_errors=True)
        shutil.copytree(self._home / "config", config)
        for name in ("data", "logs", "tmp"):
            (self.folder / name).mkdir(exist_ok=True)
        if self._https:
            self._certify(config)
        (config / "elasticsearch.yml").write_text(self._settings())
        self._write_logins(config)
        if self.user:
            self._give_to(self.user)

    def command(self) -> Sequence[str]:
        """Return the launcher of the distribution."""
        return [str(self._home / "bin" / "elasticsearch")]

    def environment(self) -> Mapping[str, str]:
        """Return where to find Java, the configuration and a temporary folder."""
        options = f"-Xms{self._heap_mb}m -Xmx{self._heap_mb}m"
        if self._quick_start:
            options += f" {_QUICK_START}"
        temporary = self.folder / "tmp"
        return {
            "CLI_JAVA_OPTS": f"-Djava.io.tmpdir={temporary} {_COMPILE_ONCE}",
            "ES_JAVA_HOME": str(self._java.home),
            "ES_JAVA_OPTS": options,
            "ES_PATH_CONF": str(self.folder / "config"),
            "ES_TMPDIR": str(temporary),
            "HOME": str(self.folder),
        }

    def is_ready(self) -> bool:
        """Return whether it answers and has recovered its data."""
        try:
            status, _ = self.cluster.ask("GET", f"/_cluster/health?{self._health}")
        except (OSError, HTTPException):
            return False
        return status == 200

    def _write_logins(self, config: Path) -> None:
        """Write users and roles to the files that Elasticsearch reads.

        A team sends the same roles to `_security/role`, which this distribution lacks.
        """
        logins = self.logins()
        roles = {
            "patate_writer": rights.elasticsearch_role("writer", INDEXES),
            "patate_searcher": rights.elasticsearch_role("searcher", INDEXES),
            "patate_restricted": rights.elasticsearch_role("restricted_writer", INDEXES),
        }
        _write_lines(config / "roles.yml", [f"{r}: {json.dumps(roles[r])}" for r in roles])
        _write_lines(
            config / "users",
            [f"{login.name}:{_hash(login.secret)}" for login in logins.values()],
        )
        _write_lines(
            config / "users_roles",
            [
                f"superuser:{logins['admin'].name}",
                f"patate_writer:{logins['writer'].name}",
                f"patate_searcher:{logins['searcher'].name}",
                f"patate_restricted:{logins['restricted'].name}",
            ],
        )

    def _settings(self) -> str:
        settings = {
            "network.host": self.host,
            "http.port": self.port,
            **self._membership(),
            "path.data": self.folder / "data",
            "path.logs": self.folder / "logs",
            "cluster.max_shards_per_node": 5000,
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            "xpack.license.self_generated.type": "basic",
            "xpack.security.enabled": "true",
            "xpack.security.autoconfiguration.enabled": "false",
            "xpack.security.authc.reserved_realm.enabled": "false",
            "xpack.security.transport.ssl.enabled": "false",
        }
        if self._https:
            settings |= {
                "xpack.security.http.ssl.enabled": "true",
                "xpack.security.http.ssl.key": "node.key",
                "xpack.security.http.ssl.certificate": "node.pem",
            }
        return "".join(f"{name}: {value}\n" for name, value in settings.items())

    def _membership(self) -> dict[str, object]:
        """Return the settings that make this a server of its own, or one node of a cluster."""
        if not self._nodes:
            return {"discovery.type": "single-node", "transport.port": 0}
        return {
            "node.name": f"node-{self._number}",
            "transport.port": self._nodes[self._number],
            "discovery.seed_hosts": json.dumps([f"127.0.0.1:{port}" for port in self._nodes]),
            "cluster.initial_master_nodes": json.dumps(
                [f"node-{number}" for number in range(len(self._nodes))]
            ),
        }

    def _certify(self, config: Path) -> None:
        """Create a private authority, `ca.pem`, and a certificate for the node."""
        authority = trustme.CA()
        certificate = authority.issue_cert("localhost", self.host)
        authority.cert_pem.write_to_path(str(self.folder / "ca.pem"))
        certificate.private_key_pem.write_to_path(str(config / "node.key"))
        with (config / "node.pem").open("wb") as file:
            file.writelines(part.bytes() for part in certificate.cert_chain_pems)

    def _give_to(self, user: str) -> None:
        """Make the user own the folder.

        Raises:
            ServerFailed: the user cannot reach the folder.
        """
        for parent in self.folder.parents:
            if not parent.stat().st_mode & 0o001:
                raise ServerFailed(
                    f"{user}, as whom Elasticsearch runs for root, cannot reach {self.folder}: "
                    f"{parent} is closed to others"
                )
        entry = pwd.getpwnam(user)
        for path in (self.folder, *self.folder.rglob("*")):
            os.chown(path, entry.pw_uid, entry.pw_gid)


def _write_lines(file: Path, lines: Sequence[str]) -> None:
    file.write_text("".join(f"{line}\n" for line in lines))


def _hash(password: str) -> str:
    """Return the password as the file `users` has it."""
    salt = secrets.token_bytes(32)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, 1000, 32)
    parts = (base64.b64encode(part).decode() for part in (salt, digest))
    return "{PBKDF2}1000$" + "$".join(parts)
