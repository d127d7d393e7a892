"""Labels as an index stores them, and searches of an index."""

import json
from datetime import UTC, datetime, timedelta

from get_data.database.interfaces import Tombstone, picture_key
from get_data.database.search.search_query import parse_search_query
from get_data.labels import classes, edits, ids

START = datetime(2020, 12, 31, 15, 45, 55, tzinfo=UTC)


def uploaded_label(second=0, *, picture=b"a picture", annotation=(), **more):
    """Return a label as it is uploaded: `annotation` updates its annotation, `more` the rest."""
    document = edits.example_label()
    document |= edits.new_label(
        captured=START + timedelta(seconds=second),
        picture=picture,
        width=160,
        height=120,
        steering=0.1,
        throttle=0.4,
        classes=classes.Classes(),
        session={},
        car_setting={"car": "patate"},
    )
    document["s3_key"] = picture_key(document["img_id"], document["picture_sha256"])
    document |= more
    document["label"] |= dict(annotation)
    for name in {"steering", "throttle"} - dict(annotation).keys():
        del document["label"][name]  # those of the classes as they were before
    document["label_fingerprint"] = ids.fingerprint(document["img_id"], document["label"])
    return document


def fingerprint_of(document):
    return document["label_fingerprint"]


def fingerprints_of(documents):
    return {fingerprint_of(document) for document in documents}


def search(index, data=None):
    return [json.loads(document) for document in index.search(parse_search_query(data or {}))]


def tombstone(document, reason="deleted", removed_by="Zoé"):
    when = "2021-01-01T00:00:00.000000Z"
    return Tombstone(
        fingerprint_of(document), document["img_id"], document["s3_key"], reason, removed_by, when
    )


SAMPLE = [
    uploaded_label(0, event="Sunday race", driver="Zoé", transformation=["flip"]),
    uploaded_label(1, event="sunday RACE, second", driver="Ada", transformation=["flip", "blur"]),
    uploaded_label(2, event="", driver="ada", transformation=[], mood="good"),
    uploaded_label(
        86400, event="test", driver="Zoé", mood=["good", 3], annotation={"label_direction": 0}
    ),
    uploaded_label(
        3, event="école", driver="", annotation={"created_by": "Zoé", "raw_direction": -0.5}
    ),
]
