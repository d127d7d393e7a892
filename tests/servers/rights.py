"""The roles and policies of a team, read from the files that teams use."""

import json
from collections.abc import Mapping
from typing import Any, Literal

import path

FOLDER = path.ROOT / "get_data" / "database" / "rights"

Kind = Literal["searcher", "writer", "restricted_writer"]


def elasticsearch_role(kind: Kind, index: str = "labels") -> dict[str, Any]:
    """Return the body of a role for an index, or for a pattern such as `labels-*`."""
    return _read(f"elasticsearch_{kind}.json", {'"labels': f'"{index}'})


def bucket_policy(bucket: str, *, writer: str, searcher: str) -> dict[str, Any]:
    """Return the policy of a bucket for a writer and a searcher."""
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
