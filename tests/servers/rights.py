"""The rights that the project asks a team to give, read from the files that the team uses."""

import json
from collections.abc import Mapping
from typing import Any, Literal

import path

FOLDER = path.ROOT / "get_data" / "database" / "rights"

Kind = Literal["searcher", "writer"]


def elasticsearch_role(kind: Kind, index: str = "labels") -> dict[str, Any]:
    """The body of the role, for an index of that name, or of names like `labels-*`."""
    return _read(f"elasticsearch_{kind}.json", {'"labels': f'"{index}'})


def bucket_policy(bucket: str, *, writer: str, searcher: str) -> dict[str, Any]:
    """The policy of a bucket that the two key ids may use, each with the rights of its kind."""
    policies = [
        _read("s3_writer.json", {"BUCKET": bucket, "PRINCIPAL": writer}),
        _read("s3_searcher.json", {"BUCKET": bucket, "PRINCIPAL": searcher}),
    ]
    statements = [statement for policy in policies for statement in policy["Statement"]]
    return {**policies[0], "Statement": statements}


def _read(name: str, replaced: Mapping[str, str]) -> dict[str, Any]:
    text = (FOLDER / name).read_text()
    for placeholder, value in replaced.items():
        text = text.replace(placeholder, value)
    return json.loads(text)
