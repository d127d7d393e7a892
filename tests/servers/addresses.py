"""Addresses and logins of running servers."""

import json
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from contextlib import closing
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import boto3

from tests.servers import rights

REGION = "us-east-1"
_HANGS_S = 300  # that long without an answer is no busy machine


def new_name(start: str) -> str:
    """Return a unique name for an index or a bucket."""
    return f"{start}-{uuid4().hex[:12]}"


@dataclass(frozen=True, slots=True)
class Login:
    """A user name or key id, and its secret."""

    name: str
    secret: str


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running Elasticsearch; writer and searcher have the rights of the project's roles.

    `restricted` is a writer who may not add fields to an index. `ca` is the file of its private
    certificate authority, "" without https. Indices of labels are created with as many `shards`.
    """

    url: str
    ca: str
    admin: Login
    writer: Login
    searcher: Login
    restricted: Login
    shards: int = 1

    def environment(self, index: str, login: Login | None = None) -> dict[str, str]:
        """Return the variables that lead the scripts here, as the writer or as `login`."""
        login = login or self.writer
        variables = {
            "PATATE_ES_URL": self.url,
            "PATATE_ES_INDEX": index,
            "PATATE_ES_CA_CERTS": self.ca,
            "PATATE_ES_USER_ID": login.name,
            "PATATE_ES_USER_PWD": login.secret,
            "PATATE_ES_SHARDS": str(self.shards) if self.shards > 1 else "",
        }
        return {name: value for name, value in variables.items() if value}

    def ask(
        self, method: str, path: str, body: object = None, login: Login | None = None
    ) -> tuple[int, Any]:
        """Send a request as the admin or as `login`; return the status and the decoded response.

        A `body` of bytes is sent as it is.
        """
        login = login or self.admin
        credentials = b64encode(f"{login.name}:{login.secret}".encode()).decode()
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=body if body is None or isinstance(body, bytes) else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Authorization": f"Basic {credentials}"},
        )
        trust = ssl.create_default_context(cafile=self.ca) if self.ca else None
        try:
            with urllib.request.urlopen(request, timeout=_HANGS_S, context=trust) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def empty(self, indices: str) -> None:
        """Remove every document from these indices, those that no search finds yet included.

        An index that is missing is left so.
        """
        self.ask("POST", f"/{indices}/_refresh?ignore_unavailable=true")
        everything = f"/{indices}/_search?ignore_unavailable=true&_source=false&size=10000"
        while hits := self.ask("POST", everything)[1]["hits"]["hits"]:
            documents = ({key: hit[key] for key in ("_index", "_id")} for hit in hits)
            body = "".join(json.dumps({"delete": one}) + "\n" for one in documents).encode()
            status, answer = self.ask("POST", "/_bulk?refresh=true&filter_path=errors", body)
            assert (status, answer) == (200, {"errors": False})


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running S3; writer and searcher have the rights of the project's policies."""

    url: str
    admin: Login
    writer: Login
    searcher: Login

    def environment(self, bucket: str, login: Login | None = None) -> dict[str, str]:
        """Return the variables that lead the scripts here, as the writer or as `login`."""
        login = login or self.writer
        return {
            "PATATE_S3_ENDPOINT_URL": self.url,
            "PATATE_S3_REGION": REGION,
            "PATATE_S3_BUCKET": bucket,
            "PATATE_S3_KEY_ID": login.name,
            "PATATE_S3_KEY": login.secret,
        }

    def client(self, login: Login | None = None) -> Any:
        """Return a boto3 client for the admin or `login`; the caller closes it."""
        login = login or self.admin
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=login.name,
            aws_secret_access_key=login.secret,
        )

    def make_bucket(self, name: str = "", *, versioned: bool = False) -> str:
        """Create a bucket for writer and searcher, by default with a new name, and return its name.

        A versioned bucket needs a gateway that keeps versions.
        """
        name = name or new_name("pictures")
        policy = rights.bucket_policy(name, writer=self.writer.name, searcher=self.searcher.name)
        with closing(self.client()) as client:
            client.create_bucket(Bucket=name)
            client.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
            if versioned:
                client.put_bucket_versioning(
                    Bucket=name, VersioningConfiguration={"Status": "Enabled"}
                )
        return name
