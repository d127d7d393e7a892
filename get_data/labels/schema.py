"""Fields of a label: types, limits, and the type that a search gives each of them.

This is the only package that spells a key of a label. From the one declaration below come the
parser, the checks, the JSON Schema, the template, and the types that an index gives the fields.

A label travels as the plain `dict` that was read, its *document*, so that unknown keys survive
every step; `validation.parse` returns the checked view of one.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from get_data.labels.constants import MAX_CLASSES

Document = dict[str, Any]
MAX_DEPTH = 20  # of lists and objects in a setting; Elasticsearch takes as many
CUSTOM_TERMS = "_own"  # field of an index for all custom fields; no label has a key of that name
MAX_TERM_BYTES = 32_766  # of Lucene
MAX_KEYWORD = 8191  # characters that a search considers; Lucene takes 32,766 bytes
IMG_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_SESSION_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}-[0-9a-f]{4}$"
FILE_NAME = r"^[^/\\\x00-\x1f\x7f]+\.[jJ][pP][eE]?[gG]$"
_SHA256 = "^[0-9a-f]{64}$"
MD5 = "^[0-9a-f]{32}$"
ELASTICSEARCH_FIELDS = frozenset(  # its own fields, which no label may have
    (
        *("_data_stream_timestamp", "_doc_count", "_field_names", "_id", "_ignored"),
        *("_ignored_source", "_index", "_nested_path", "_primary_term", "_routing", "_seq_no"),
        *("_source", "_tier", "_version", CUSTOM_TERMS),
    )
)


def _meta(description: str, unit: str, index: str, **limits: Any) -> Meta:
    """Return the description of a field; `index` is its type in a search (see INDEX_TYPES)."""
    return Meta(
        description=description,
        extra_json_schema={"unit": unit},
        extra={"index": index},
        **limits,
    )


Text = Annotated[str, _meta("Session field, free text", "none", "keyword+text")]
Keyword = Annotated[str, _meta("Session field, a word or a name", "none", "keyword")]
_TIME = "ISO 8601, UTC"


class Resolution(Struct, frozen=True, kw_only=True):
    """Size of a picture."""

    horizontal: Annotated[int, _meta("Width of the picture", "pixels", "integer", ge=1, le=65535)]
    vertical: Annotated[int, _meta("Height of the picture", "pixels", "integer", ge=1, le=65535)]


class Annotation(Struct, frozen=True, kw_only=True):
    """Direction and speed: the part of a label that people correct."""

    created_by: Annotated[
        str,
        _meta(
            'Author: "auto" for the driver\'s own command, "pilot" for a model\'s, "nobody" for a '
            "picture that has not been labelled, else a person",
            "none",
            "keyword",
            min_length=1,
        ),
    ]
    created_on_date: Annotated[
        str, _meta("Time of the annotation; without one it counts as the oldest", _TIME, "date")
    ] = ""
    label_direction: Annotated[
        int, _meta("Direction class, 0 is hardest left", "class", "integer", ge=0, lt=MAX_CLASSES)
    ]
    label_speed: Annotated[
        int, _meta("Speed class, 0 is slowest", "class", "integer", ge=0, lt=MAX_CLASSES)
    ]
    nb_dir: Annotated[
        int, _meta("Number of direction classes", "classes", "integer", ge=1, le=MAX_CLASSES)
    ]
    nb_speed: Annotated[
        int, _meta("Number of speed classes", "classes", "integer", ge=1, le=MAX_CLASSES)
    ]
    raw_direction: (
        Annotated[float, _meta("Steering, -1 left to 1 right", "full lock", "float", ge=-1, le=1)]
        | UnsetType
    ) = UNSET
    raw_speed: (
        Annotated[float, _meta("Throttle, -1 to 1", "full throttle", "float", ge=-1, le=1)]
        | UnsetType
    ) = UNSET
    steering: (
        Annotated[
            float,
            _meta("Steering that is right here, -1 left to 1", "full lock", "float", ge=-1, le=1),
        ]
        | UnsetType
    ) = UNSET
    throttle: (
        Annotated[
            float,
            _meta("Throttle that is right here, -1 to 1", "full throttle", "float", ge=-1, le=1),
        ]
        | UnsetType
    ) = UNSET


class Label(Struct, frozen=True, kw_only=True):
    """Label of one picture, in `labels.json` and in the index."""

    img_id: Annotated[
        str,
        _meta(
            "Id of the picture: its UTC time of capture, or any plain name",
            "none",
            "keyword",
            pattern=IMG_ID,
        ),
    ]
    file_name: Annotated[
        str,
        _meta("Name of the picture file, without a folder", "none", "keyword", pattern=FILE_NAME),
    ]
    session_id: (
        Annotated[
            str,
            _meta(
                "A run of run_manual.py or an imported drive: id of its start, 4 hex digits",
                "none",
                "keyword",
                pattern=_SESSION_ID,
            ),
        ]
        | UnsetType
    ) = UNSET
    s3_bucket: Annotated[
        str, _meta('Bucket of the picture; "" in a local file', "none", "keyword")
    ] = ""
    s3_key: Annotated[str, _meta('Key of the picture; "" in a local file', "none", "keyword")] = ""
    raw: Annotated[
        bool | Literal["true", "false"],
        _meta("Whether the picture is unprocessed, as captured", "none", "boolean"),
    ] = True
    color: Annotated[str, _meta("Colour space of the picture", "none", "keyword")] = "rgb"
    timestamp: Annotated[str, _meta("Time of capture", _TIME, "date")]
    resolution: Resolution | UnsetType = UNSET
    picture_size: (
        Annotated[int, _meta("Size of the picture file", "bytes", "long", ge=1, le=2**53)]
        | UnsetType
    ) = UNSET
    picture_sha256: (
        Annotated[
            str, _meta("SHA-256 of the picture file", "hex digits", "keyword", pattern=_SHA256)
        ]
        | UnsetType
    ) = UNSET
    event: Text = ""
    track: Text = ""
    track_type: Keyword = ""
    driver: Keyword = ""
    comment: Text = ""
    car_setting: Annotated[
        dict[str, Any], _meta("hardware_conf.json and the settings of the run", "none", "flattened")
    ] = {}
    label: Annotation
    transformation: Annotated[
        list[str], _meta("Processing of the picture since its capture", "none", "keyword")
    ] = []
    dataset: Annotated[
        list[str], _meta("Names of the data sets with this label", "none", "keyword")
    ] = []
    upload_date: Annotated[
        str, _meta('Time of the upload or of the last amendment; "" before it', _TIME, "date")
    ] = ""
    amended_by: Annotated[
        str, _meta('Login name of who amended the label last; "" if nobody did', "none", "keyword")
    ] = ""
    split: (
        Annotated[
            str,
            _meta('Part of a fetched set: "train", "val" or "test"; not stored', "none", "none"),
        ]
        | UnsetType
    ) = UNSET
    label_fingerprint: Annotated[
        str,
        _meta(
            "Identifier of the label, a hash of its content",
            "MD5, hex digits",
            "keyword",
            pattern=MD5,
        ),
    ]
    to_delete: (
        Annotated[bool, _meta("Whether upload_to_db.py is to delete this label", "none", "none")]
        | UnsetType
    ) = UNSET
    replaces: (
        Annotated[
            str,
            _meta(
                "Fingerprint of the label that this one corrects",
                "MD5, hex digits",
                "none",
                pattern=MD5,
            ),
        ]
        | UnsetType
    ) = UNSET


RESERVED = frozenset(Label.__struct_fields__)


class PictureReference(Struct, frozen=True, kw_only=True):
    """Location and identity of a label's picture, decoded without the other fields."""

    img_id: str
    file_name: str
    s3_key: str = ""
    picture_size: int | None = None
    picture_sha256: str | None = None
    label_fingerprint: str


def picture_reference(document: Document) -> PictureReference:
    """Return the picture reference of a checked document."""
    return msgspec.convert(document, PictureReference)


@lru_cache(maxsize=1024)  # asked for each key of each label
def is_flattened(path: str) -> bool:
    """Return whether the path is that of a flattened field, or inside one."""
    return INDEX_TYPES.get(path.partition(".")[0]) == "flattened"


def is_elasticsearch_field(path: str) -> bool:
    """Return whether a search means a field of Elasticsearch's own, such as `_id`."""
    return path.partition(".")[0] in ELASTICSEARCH_FIELDS


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a label: each field with description, unit and range."""
    return msgspec.json.schema(Label)


def _index_types(struct: type[Struct], prefix: str = "") -> Iterator[tuple[str, str]]:
    for field in msgspec.inspect.type_info(struct).fields:  # type: ignore[attr-defined]
        yield from _index_type(field.type, prefix + field.name)


def _index_type(kind: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(kind, msgspec.inspect.UnionType):
        for member in kind.types:
            yield from _index_type(member, path)
    elif isinstance(kind, msgspec.inspect.StructType):
        yield from _index_types(kind.cls, path + ".")
    elif isinstance(kind, msgspec.inspect.Metadata) and kind.extra:
        yield path, kind.extra["index"]


INDEX_TYPES: Mapping[str, str] = {
    path: kind for path, kind in _index_types(Label) if kind != "none"
}
"""How a search sees each field, by dotted path: `keyword`, `keyword+text` (a keyword with a `text`
sub-field), `integer`, `long`, `float`, `boolean`, `date`, `flattened`. Other keys are keywords; an
index keeps them together in one field (`custom_terms`), so that their number has no limit."""
CUSTOM = "custom"  # the kind of a field that is not declared
OBJECT = "object"
TEXT = "text"  # the words of a `keyword+text` field
OBJECTS = frozenset(path.rpartition(".")[0] for path in INDEX_TYPES if "." in path)


def resolve_field(path: str) -> tuple[str, str]:
    """Return the name under which a search finds a field, and its kind.

    The kind is one of `INDEX_TYPES`, or TEXT (`event.text`), OBJECT or CUSTOM. `driver.keyword` is
    another name of `driver`.
    """
    sentence = path.removesuffix(".text")
    if sentence != path and INDEX_TYPES.get(sentence) == "keyword+text":
        return path, TEXT
    if is_flattened(path):
        return path, "flattened"
    if path in OBJECTS:
        return path, OBJECT
    whole = path.removesuffix(".keyword")
    if INDEX_TYPES.get(whole, CUSTOM) in ("keyword", "keyword+text", CUSTOM):
        path = whole
    return path, INDEX_TYPES.get(path, CUSTOM)
