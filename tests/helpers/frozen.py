"""Frozen sets for tests: the content of one, made of labels."""

import hashlib

import msgspec

from get_data.database.frozen.frozen_sets import SetToFreeze
from get_data.database.interfaces import set_path
from get_data.labels import label_lines
from get_data.labels.label_lines import Line

DESCRIPTION = b'{"format":"patate-set","created":"2024-05-01T12:00:00Z"}'


def set_of(*labels):
    """The set of these labels, which were uploaded."""
    lines = [Line(each["img_id"], msgspec.json.encode(each)) for each in labels]
    content = b",\n".join(map(label_lines.encode, lines))
    raw = label_lines.START + content + b"\n" + label_lines.END
    return SetToFreeze(
        len(lines), hashlib.sha256(raw).hexdigest(), DESCRIPTION, lambda: iter(lines)
    )


def path_of(name, content):
    return set_path(name, content.sha256)
