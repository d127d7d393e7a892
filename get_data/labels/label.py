"""A label: what one picture shows and what the driver did at that moment.

This is the only module that spells a key of a label. From the one declaration below come the
parser, the checks, the JSON Schema, the template, and the types that an index gives the fields.

A label travels as the plain `dict` that was read, its *document*, so that keys which nobody here
knows survive every step; `parse` gives the checked view of one.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from errors import InputError
from get_data.labels.unicode_forms import composed

Document = dict[str, Any]

AUTO = "auto"  # who made a label that no person made
MAX_CLASSES = 99
MAX_DEPTH = 20  # of lists and objects in a setting; Elasticsearch takes as many
OWN_TERMS = "_own"  # the field that an index keeps them in; no label has a key of that name
_MAX_TERM_BYTES = 32_766  # of Lucene
MAX_KEYWORD = 8191  # characters that a search looks at; Lucene takes 32,766 bytes
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
END = datetime(2262, 4, 11, 23, 47, 16, 854775, tzinfo=UTC)  # of 63 bits of nanoseconds
IMG_ID_FORM = "%Y%m%dT%H-%M-%S-%f"

_OWN_IMG_ID = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)-(\d\d)-(\d\d)-(\d{6})", re.ASCII)
_IMG_ID = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_FILE_NAME = r"^[^/\\\x00-\x1f\x7f]+\.[jJ][pP][eE]?[gG]$"
_MAX_FILE_NAME_BYTES = 255
_SHA256 = "^[0-9a-f]{64}$"
_MD5 = "^[0-9a-f]{32}$"
_DIGITS = re.compile(r"\d{1,2}", re.ASCII)
_CONTAINERS = (dict, list)
_ELASTICSEARCH = frozenset(  # its own fields, which no label may have
    (
        *("_data_stream_timestamp", "_doc_count", "_field_names", "_id", "_ignored"),
        *("_ignored_source", "_index", "_nested_path", "_primary_term", "_routing", "_seq_no"),
        *("_source", "_tier", "_version", OWN_TERMS),
    )
)
_COMPACT = json.JSONEncoder(separators=(",", ":"))


def _meta(description: str, unit: str, index: str, **limits: Any) -> Meta:
    """Describes a field. `index` is the type that a search gives it (see `INDEX_TYPES`)."""
    return Meta(
        description=description,
        extra_json_schema={"unit": unit},
        extra={"index": index},
        **limits,
    )


Text = Annotated[str, _meta("A sentence by the driver", "none", "keyword+text")]
Keyword = Annotated[str, _meta("A word by the driver", "none", "keyword")]
Moment = "ISO 8601, UTC"


class Resolution(Struct, frozen=True, kw_only=True):
    """The size of the picture."""

    horizontal: Annotated[int, _meta("Width of the picture", "pixels", "integer", ge=1, le=65535)]
    vertical: Annotated[int, _meta("Height of the picture", "pixels", "integer", ge=1, le=65535)]


class Annotation(Struct, frozen=True, kw_only=True):
    """Which way and how fast: the part of a label that people correct."""

    created_by: Annotated[
        str,
        _meta(
            '"auto" for the driver\'s own command, else a person', "none", "keyword", min_length=1
        ),
    ]
    created_on_date: Annotated[
        str, _meta("When this was said; absent is oldest", Moment, "date")
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


class Label(Struct, frozen=True, kw_only=True):
    """One picture's label, as it stands in `labels.json` and in the index."""

    img_id: Annotated[
        str,
        _meta(
            "UTC time of capture; from elsewhere any plain name", "none", "keyword", pattern=_IMG_ID
        ),
    ]
    file_name: Annotated[
        str,
        _meta("Name of the picture file, without a folder", "none", "keyword", pattern=_FILE_NAME),
    ]
    s3_bucket: Annotated[
        str, _meta('Where the picture is; "" in a local file', "none", "keyword")
    ] = ""
    s3_key: Annotated[str, _meta('Its key in there; "" in a local file', "none", "keyword")] = ""
    raw: Annotated[
        bool | Literal["true", "false"],
        _meta("True when the picture is as the camera gave it", "none", "boolean"),
    ] = True
    color: Annotated[str, _meta("Colour space of the picture", "none", "keyword")] = "rgb"
    timestamp: Annotated[str, _meta("Moment of capture", Moment, "date")]
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
        list[str], _meta("What was done to the picture since it was taken", "none", "keyword")
    ] = []
    dataset: Annotated[
        list[str], _meta("Names of the sets this belongs to", "none", "keyword")
    ] = []
    upload_date: Annotated[str, _meta('When this was uploaded; "" until then', Moment, "date")] = ""
    label_fingerprint: Annotated[
        str,
        _meta("Names this label by its content", "MD5, hex digits", "keyword", pattern=_MD5),
    ]
    to_delete: (
        Annotated[bool, _meta("True asks upload_to_db.py to delete this label", "none", "none")]
        | UnsetType
    ) = UNSET
    replaces: (
        Annotated[
            str,
            _meta(
                "Fingerprint of the label that this one corrects",
                "MD5, hex digits",
                "none",
                pattern=_MD5,
            ),
        ]
        | UnsetType
    ) = UNSET


RESERVED = frozenset(Label.__struct_fields__)
SESSION_KEYS = ("event", "track", "track_type", "driver", "comment")


class PictureReference(Struct, frozen=True, kw_only=True):
    """The keys of a document that say where its picture is; a fast way past all the others."""

    img_id: str
    file_name: str
    s3_key: str = ""
    picture_size: int | None = None
    picture_sha256: str | None = None
    label_fingerprint: str


def reference(document: Document) -> PictureReference:
    """What a checked document says of its picture."""
    return msgspec.convert(document, PictureReference)


@dataclass(frozen=True, slots=True)
class Classes:
    """How steering and throttle become classes: equal bins over -1..1 and 0..max_throttle."""

    nb_dir: int = 5
    nb_speed: int = 2
    max_throttle: float = 1.0

    def direction(self, steering: float) -> int:
        """0 for hardest left to nb_dir - 1 for hardest right; steering -1 .. 1."""
        return _bin((steering + 1) / 2, self.nb_dir)

    def speed(self, throttle: float) -> int:
        """0 for slowest (and reverse) to nb_speed - 1; throttle -1 .. 1."""
        return _bin(throttle / self.max_throttle, self.nb_speed)


def _bin(share: float, count: int) -> int:
    return min(max(int(share * count), 0), count - 1)


def img_id_of(moment: datetime) -> str:
    """The id of the picture taken at `moment` (aware)."""
    return moment.astimezone(UTC).strftime(IMG_ID_FORM)


def moment_of(img_id: str) -> datetime | None:
    """The UTC time that an id of our own form tells; None for an id from elsewhere."""
    told = _OWN_IMG_ID.fullmatch(img_id)
    if not told:
        return None
    try:
        return datetime(*map(int, told.groups()), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        return None


def iso(moment: datetime) -> str:
    """`moment` (aware) as ISO 8601 in UTC with microseconds and a Z."""
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.removesuffix("+00:00") + "Z"


def parse_moment(text: str) -> datetime | None:
    """The time that an ISO 8601 text tells, UTC where it names no zone; None for other texts."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # such as New Year of the year 1, east of Greenwich
        return None


def findable_moment(text: str) -> datetime | None:
    """The same, where a search can find it; it counts from 1970 in nanoseconds."""
    moment = parse_moment(text)
    return moment if moment and EPOCH <= moment <= END else None


def fingerprint(img_id: str, annotation: Mapping[str, Any]) -> str:
    """The MD5 that names a label: who says which class of how many about which picture."""
    sextuple = [
        img_id,
        unicodedata.normalize("NFC", annotation["created_by"]),
        annotation["label_direction"],
        annotation["label_speed"],
        annotation["nb_dir"],
        annotation["nb_speed"],
    ]
    text = _COMPACT.encode(sextuple)
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def recorded(
    *,
    captured: datetime,
    picture: bytes,
    width: int,
    height: int,
    steering: float,
    throttle: float,
    classes: Classes,
    session: Mapping[str, Any],
    car_setting: Mapping[str, Any],
) -> Document:
    """The document of a picture just taken.

    `picture` is a JPEG file, width and height in pixels, steering and throttle -1 .. 1.
    """
    img_id = img_id_of(captured)
    moment = iso(captured)
    annotation = {
        "created_by": AUTO,
        "created_on_date": moment,
        "label_direction": classes.direction(steering),
        "label_speed": classes.speed(throttle),
        "nb_dir": classes.nb_dir,
        "nb_speed": classes.nb_speed,
        "raw_direction": steering,
        "raw_speed": throttle,
    }
    return {
        "img_id": img_id,
        "file_name": f"{img_id}.jpg",
        "s3_bucket": "",
        "s3_key": "",
        "raw": True,
        "color": "rgb",
        "timestamp": moment,
        "resolution": {"horizontal": width, "vertical": height},
        "picture_size": len(picture),
        "picture_sha256": sha256(picture),
        **composed(dict(session)),
        "car_setting": car_setting,
        "label": annotation,
        "transformation": [],
        "dataset": [],
        "upload_date": "",
        "label_fingerprint": fingerprint(img_id, annotation),
    }


def sent(
    document: Document, *, picture: bytes, bucket: str, key: str, uploaded: datetime
) -> Document:
    """The document as it goes into the index: where its picture is, and when it was sent.

    Its times are told in UTC, in the one form that every index reads, its texts in NFC.

    What only a label file may ask (`to_delete`, `replaces`) stays behind; `document` is unchanged.
    """
    annotation = composed(document["label"])
    created = parse_moment(annotation.get("created_on_date", ""))
    if created:
        annotation["created_on_date"] = iso(created)
    taken = parse_moment(document["timestamp"])
    known = {
        **composed(document),
        "file_name": document["file_name"],  # as the disk has it
        "s3_bucket": bucket,
        "s3_key": key,
        "raw": document.get("raw", True) in (True, "true"),
        "picture_size": len(picture),
        "picture_sha256": sha256(picture),
        "timestamp": iso(taken) if taken else document["timestamp"],
        "label": annotation,
        "upload_date": iso(uploaded),
    }
    return {name: value for name, value in known.items() if name not in ("to_delete", "replaces")}


def corrected(
    document: Document,
    *,
    created_by: str,
    direction: int,
    speed: int,
    on: datetime,
    nb_dir: int | None = None,
    nb_speed: int | None = None,
) -> Document:
    """The label by which a person corrects `document`; it names the one that it replaces.

    `nb_dir` and `nb_speed` are for a document that does not say of how many classes it speaks. The
    sets that the old label belonged to are not those of the new one.
    """
    said = document.get("label")
    annotation: Document = {
        **(said if isinstance(said, dict) else {}),
        "created_by": created_by,
        "created_on_date": iso(on),
        "label_direction": direction,
        "label_speed": speed,
    }
    for name, count in (("nb_dir", nb_dir), ("nb_speed", nb_speed)):
        if count is not None:
            annotation[name] = count
    named, old = fingerprint(document["img_id"], annotation), document.get("label_fingerprint")
    correction = {**document, "label": annotation, "dataset": [], "label_fingerprint": named}
    correction.pop("to_delete", None)
    correction.pop("replaces", None)
    names_one = isinstance(old, str) and re.fullmatch(_MD5, old) and old != named
    return {**correction, "replaces": old} if names_one else correction


def marked(document: Document) -> Document:
    """The label as it stands, with the wish that it be deleted; it replaces nothing then."""
    wish = {**document, "to_delete": True}
    wish.pop("replaces", None)
    return wish


def unmarked(document: Document) -> Document:
    """The label without the wish that it be deleted."""
    return {key: value for key, value in document.items() if key != "to_delete"}


@dataclass(frozen=True, slots=True)
class Glance:
    """What a document says, whether or not it is a valid label; None where it says nothing usable.

    `fault` is why it is no valid label, "" if it is one. `said_direction` and `said_speed` are
    classes that stand there as a text, such as "2".
    """

    fault: str
    file_name: str | None = None
    taken: datetime | None = None
    picture_size: int | None = None
    created_by: str = AUTO
    direction: int | None = None
    speed: int | None = None
    said_direction: int | None = None
    said_speed: int | None = None
    nb_dir: int | None = None
    nb_speed: int | None = None
    steering: float | None = None
    throttle: float | None = None
    marked: bool = False
    replaces: bool = False


def glance(document: object) -> Glance:
    """What can be seen in a document that was read from somewhere."""
    try:
        label = parse(document)
    except InputError as error:
        return _glance_at_invalid(document, str(error))
    said = label.label
    return Glance(
        fault="",
        file_name=label.file_name,
        taken=parse_moment(label.timestamp),
        picture_size=None if label.picture_size is UNSET else label.picture_size,
        created_by=said.created_by,
        direction=said.label_direction,
        speed=said.label_speed,
        nb_dir=said.nb_dir,
        nb_speed=said.nb_speed,
        steering=None if said.raw_direction is UNSET else said.raw_direction,
        throttle=None if said.raw_speed is UNSET else said.raw_speed,
        marked=label.to_delete is True,
        replaces=label.replaces is not UNSET,
    )


def _glance_at_invalid(document: object, fault: str) -> Glance:
    """What of an invalid label can be used all the same."""
    whole = document if isinstance(document, dict) else {}
    label = whole.get("label")
    said = label if isinstance(label, dict) else {}
    nb_dir, nb_speed = (_whole(said.get(key), 1, MAX_CLASSES) for key in ("nb_dir", "nb_speed"))
    direction, speed = said.get("label_direction"), said.get("label_speed")
    last_dir, last_speed = (nb_dir or MAX_CLASSES) - 1, (nb_speed or MAX_CLASSES) - 1
    name, taken, by = whole.get("file_name"), whole.get("timestamp"), said.get("created_by")
    return Glance(
        fault=fault,
        file_name=name if isinstance(name, str) and is_file_name(name) else None,
        taken=parse_moment(taken) if isinstance(taken, str) else None,
        created_by=by if isinstance(by, str) else AUTO,
        direction=_whole(direction, 0, last_dir),
        speed=_whole(speed, 0, last_speed),
        said_direction=_whole(_number(direction), 0, last_dir),
        said_speed=_whole(_number(speed), 0, last_speed),
        nb_dir=nb_dir,
        nb_speed=nb_speed,
        steering=_share(said.get("raw_direction")),
        throttle=_share(said.get("raw_speed")),
        marked=whole.get("to_delete") is True,
        replaces="replaces" in whole,
    )


def _whole(value: object, least: int, most: int) -> int | None:
    """The value, if it is a whole number of that range."""
    if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
        return value
    return None


def _number(value: object) -> int | None:
    """The number that a text of one or two digits tells."""
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else None


def _share(value: object) -> float | None:
    """The value, if it is a number of -1 .. 1."""
    if isinstance(value, int | float) and not isinstance(value, bool) and -1 <= value <= 1:
        return float(value)
    return None


def wants_deletion(document: Document) -> bool:
    """Whether a label file asks for this label to be deleted."""
    return document.get("to_delete", False) is True


def replaced_by(document: Document) -> str | None:
    """The fingerprint of the label that this one corrects, if it corrects one."""
    return document.get("replaces")


def sha256(picture: bytes) -> str:
    """The hash of a JPEG file, 64 hex digits."""
    return hashlib.sha256(picture).hexdigest()


def parse(document: object) -> Label:
    """The checked view of a document.

    Raises: InputError with the path of the first bad value, what it is and what it should be.
    """
    try:
        label = msgspec.convert(document, Label)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at ")
        path = where.strip("`").removeprefix("$").removeprefix(".")
        text = what.replace("`", "").replace("Object missing required field", "missing key")
        raise InputError(f"{path}: {text}" if path else text) from error
    for path, complaint in _contradictions(label, document):
        raise InputError(f"{path}: {complaint}")
    return label


def is_file_name(name: str) -> bool:
    """Whether a picture may be called so: a plain name, no folder, no way out of one."""
    return (
        re.fullmatch(_FILE_NAME, name) is not None
        and ".." not in name
        and len(name.encode(errors="surrogatepass")) <= _MAX_FILE_NAME_BYTES
    )


def _contradictions(label: Label, document: object) -> Iterator[tuple[str, str]]:
    """What types and ranges alone do not show."""
    if label.img_id.endswith("\n"):
        yield "img_id", "ends with a line break"
    if not is_file_name(label.file_name):
        yield "file_name", f"{label.file_name!r} is not a plain file name"
    if parse_moment(label.timestamp) is None:
        yield "timestamp", f"{label.timestamp!r} is not an ISO 8601 time"
    said = label.label
    if said.created_on_date and parse_moment(said.created_on_date) is None:
        yield "label.created_on_date", f"{said.created_on_date!r} is not an ISO 8601 time"
    if label.upload_date and parse_moment(label.upload_date) is None:
        yield "upload_date", f"{label.upload_date!r} is not an ISO 8601 time"
    if said.label_direction >= said.nb_dir:
        yield "label.label_direction", f"{said.label_direction} is not below nb_dir {said.nb_dir}"
    if said.label_speed >= said.nb_speed:
        yield "label.label_speed", f"{said.label_speed} is not below nb_speed {said.nb_speed}"
    right = fingerprint(label.img_id, msgspec.structs.asdict(said))
    if label.label_fingerprint != right:
        yield (
            "label_fingerprint",
            (
                f"{label.label_fingerprint} is stale, this label's is {right}; "
                "give a corrected label that fingerprint, and name the old one in `replaces`"
            ),
        )
    if label.to_delete is True and label.replaces is not UNSET:
        yield "replaces", "a label to be deleted replaces nothing; give the one or the other"
    if label.replaces == label.label_fingerprint:
        yield "replaces", "names the label itself"
    if isinstance(document, dict):
        yield from _inner_contradictions(document)
        for key, value in document.items():
            if key not in RESERVED and (fault := own_key_fault(key, document)):
                yield repr(key), fault
            elif key not in RESERVED and not is_own_value(value):
                yield key, "a key of your own holds a text, a number, true, false or a list of them"
            elif isinstance(value, _CONTAINERS) and _is_deeper(value, MAX_DEPTH):
                yield key, f"nested too deep; {MAX_DEPTH} objects or lists in each other are enough"
            elif (
                _is_flattened(key)
                and not _is_plain({key: value})
                and (fault := _flattened_fault(value, key))
            ):
                yield key, fault


def _is_deeper(container: dict[str, Any] | list[Any], depth: int) -> bool:
    """Whether more than so many lists and objects are in each other."""
    inside = container.values() if isinstance(container, dict) else container
    return depth == 0 or any(
        _is_deeper(one, depth - 1) for one in inside if isinstance(one, _CONTAINERS)
    )


def _is_flattened(path: str) -> bool:
    """Return whether that is a field whose values are all kept together, or is inside one."""
    return INDEX_TYPES.get(path.partition(".")[0]) == "flattened"


def _is_plain(setting: Document) -> bool:
    """Return whether it is so short, and without a zero byte, that all of it is taken."""
    try:
        encoded = msgspec.json.encode(setting)
    except (ValueError, OverflowError):  # half a character, say, or a number of 40 digits
        return False
    return len(encoded) <= _MAX_TERM_BYTES and b"\\u0000" not in encoded


def _flattened_fault(value: Any, path: str) -> str:
    """Return why a team's index refuses what is at a path of a flattened field, or inside.

    "" where it takes it. Its terms are the path, a zero byte and the value.
    """
    if "\0" in path:
        return f"the key {path!r} has a zero byte in it; rename it"
    if isinstance(value, dict):
        faults = (_flattened_fault(inside, f"{path}.{name}") for name, inside in value.items())
        return next(filter(None, faults), "")
    if isinstance(value, list):
        return next(filter(None, (_flattened_fault(one, path) for one in value)), "")
    text = "" if value is None else own_text(value)
    is_indexed = value is not None and _utf16_length(text) <= MAX_KEYWORD
    size = len(f"{path.partition('.')[2]}\0{text}".encode(errors="surrogatepass"))
    if is_indexed and size > _MAX_TERM_BYTES:
        return (
            f"{_shortened(path)} and its value have {size:,} bytes, "
            f"more than {_MAX_TERM_BYTES:,}; make one of them shorter"
        )
    return ""


def _shortened(path: str) -> str:
    return path if len(path) <= 80 else f"{path[:60]}...{path[-10:]}"


def _utf16_length(text: str) -> int:
    """Return the number of characters as Java counts them."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def own_key_fault(key: str, keys: Collection[str]) -> str:
    """Why a team's index takes no label with this key of the user's own; "" where it takes it.

    `keys` are those beside it. A dot leads inside, as in a search.
    """
    steps = _steps(key)
    if not steps:
        return "nothing is before or between the dots of the key; rename it"
    if steps[0] in _ELASTICSEARCH:
        return f"Elasticsearch has a {steps[0]} of its own; rename the key"
    if len(steps) > MAX_DEPTH:
        return f"the key has more than {MAX_DEPTH - 1} dots; rename it"
    for count in range(1, len(steps) + 1):
        outer = ".".join(steps[:count])
        is_field = INDEX_TYPES.get(outer, "flattened") != "flattened"
        is_again = outer in RESERVED and count == len(steps)  # with a dot at its end
        if is_field or is_again or (outer in keys and outer not in RESERVED and outer != key):
            return f"there is a key {outer} already, and nothing can be inside it; rename this one"
    return ""


def _steps(key: str) -> list[str]:
    """Return the names that a key's dots lead through; none when one of them is blank."""
    steps = key.rstrip(".").split(".")
    return steps if all(step.strip() for step in steps) else []


def _inner_contradictions(document: Document) -> Iterator[tuple[str, str]]:
    """Yield the keys inside the label's objects that no team's index takes, with the reason."""
    for part in _OBJECTS:
        value = document.get(part)
        for key in value if isinstance(value, dict) else ():
            if f"{part}.{key}" in INDEX_TYPES:
                continue
            steps = _steps(key)
            if not steps:
                yield f"{part}.{key!r}", "nothing is before or between the dots; rename the key"
            for count in range(1, len(steps) + 1):
                if (outer := ".".join((part, *steps[:count]))) in INDEX_TYPES:
                    yield f"{part}.{key!r}", f"there is a key {outer} already; rename this one"


def is_meta(path: str) -> bool:
    """Return whether a search means a field of Elasticsearch's own, such as `_id`."""
    return path.partition(".")[0] in _ELASTICSEARCH


def is_own_value(value: object) -> bool:
    """Whether a key of the user's own may hold this: a scalar or a list of scalars."""
    scalars = str | int | float | bool | None
    if isinstance(value, list):
        return all(isinstance(item, scalars) for item in value)
    return isinstance(value, scalars)


def example() -> Document:
    """A valid and complete label, as a recording writes it."""
    return recorded(
        captured=datetime(2020, 12, 31, 15, 45, 55, 123456, tzinfo=UTC),
        picture=b"the bytes of a JPEG file",
        width=160,
        height=120,
        steering=0.1,
        throttle=0.4,
        classes=Classes(max_throttle=0.5),
        session={
            "event": "Sunday race",
            "track": "school yard, clockwise",
            "track_type": "tape on asphalt",
            "driver": "Zoé",
            "comment": "low sun from the left",
        },
        car_setting={"car": "patate"},
    )


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a label: every field with a description, its unit and its range."""
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
index keeps them together in one field (`own_terms`), so that their number has no limit."""

OWN = "own"  # the kind of a field that the declaration does not know
OBJECT = "object"
WORDS = "words"

_OBJECTS = frozenset(path.rpartition(".")[0] for path in INDEX_TYPES if "." in path)


def field_at(path: str) -> tuple[str, str]:
    """Return the name under which a search finds a field, and its kind.

    The kind is one of `INDEX_TYPES`, or `words` for the words of a sentence (`event.text`),
    `object`, `own`. `driver.keyword` is another name of `driver`.
    """
    sentence = path.removesuffix(".text")
    if sentence != path and INDEX_TYPES.get(sentence) == "keyword+text":
        return path, WORDS
    if _is_flattened(path):
        return path, "flattened"
    if path in _OBJECTS:
        return path, OBJECT
    whole = path.removesuffix(".keyword")
    if INDEX_TYPES.get(whole, OWN) in ("keyword", "keyword+text", OWN):
        path = whole
    return path, INDEX_TYPES.get(path, OWN)


def own_values(document: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the values of the fields that the declaration does not know, by dotted path.

    They are scalars; a field without any (`null`, `[]`) is left out.
    """
    found: dict[str, list[Any]] = {}
    for key, value in document.items():
        if key in _OBJECTS and isinstance(value, dict):
            for name, inside in value.items():
                if (path := f"{key}.{name}") not in INDEX_TYPES:
                    _add_own(path, inside, found)
        elif key not in RESERVED and field_at(key)[1] != "flattened":
            _add_own(key, value, found)
    return found


def _add_own(path: str, value: Any, found: dict[str, list[Any]]) -> None:
    if isinstance(value, dict):
        for name, inside in value.items():
            _add_own(f"{path}.{name}", inside, found)
    elif isinstance(value, list):
        for one in value:
            _add_own(path, one, found)
    elif value is not None:
        found.setdefault(path, []).append(value)


def own_text(value: Any) -> str:
    """Return a scalar as a search compares it: a text as it is, all else as JSON spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def own_name(path: str) -> str:
    """Return the term by which an index knows that a label has a field of the user's own."""
    return path.replace("\\", r"\\").replace("=", r"\=")


def own_path(name: str) -> str:
    """Return the path of the field whose `own_name` that is."""
    return re.sub(r"\\(.)", r"\1", name)


def own_term(path: str, value: Any) -> str:
    """Return the term by which an index knows one value of such a field: `weather=sunny`."""
    return f"{own_name(path)}={own_text(value)}"


def is_findable(path: str, value: Any) -> bool:
    """Return whether a search can find the value of such a field; it may be too long."""
    return (
        len(own_text(value)) <= MAX_KEYWORD
        and len(own_term(path, value).encode(errors="surrogatepass")) <= _MAX_TERM_BYTES
    )


def own_terms(document: Mapping[str, Any]) -> list[str]:
    """Return the terms of all fields of the user's own, for an index to keep in one field."""
    terms: dict[str, None] = {}
    for path, values in own_values(document).items():
        for value in values:
            if is_findable(path, value):
                terms[own_name(path)] = None
                terms[own_term(path, value)] = None
    return list(terms)
