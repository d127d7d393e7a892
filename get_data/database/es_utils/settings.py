"""The settings of a team's Elasticsearch, read from the environment."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import path
from common.errors import InputError
from get_data.database import address

URL = "PATATE_ES_URL"
INDEX = "PATATE_ES_INDEX"
SHARDS = "PATATE_ES_SHARDS"
CA_CERTS = "PATATE_ES_CA_CERTS"
USER_ID = "PATATE_ES_USER_ID"
USER_PWD = "PATATE_ES_USER_PWD"

DEFAULT_INDEX = "labels"

_MAX_SHARDS = 1024  # of one index, unless the server is told otherwise
_INDEX_NAME = "[a-z0-9][a-z0-9._-]{0,199}"


@dataclass(frozen=True, slots=True)
class Settings:
    """An index on an Elasticsearch server, and the login. The repr leaves the password out.

    Attributes:
        shards: number of primary shards with which the index of the labels is created; None is
            one, and is not compared with an index that exists.
    """

    url: str
    index: str = DEFAULT_INDEX
    ca_certs: Path | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    shards: int | None = None

    @property
    def name(self) -> str:
        """The address of the index."""
        return f"{self.url}/{self.index}"


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Return the settings, checked as far as possible without a connection.

    Raises:
        InputError: a variable is wrong; the message names it.
    """
    user, password = environment.get(USER_ID, ""), environment.get(USER_PWD, "")
    if bool(user) != bool(password):
        given, missing = (USER_ID, USER_PWD) if user else (USER_PWD, USER_ID)
        raise InputError(f"{given} is set but {missing} is not; set both or neither")
    for variable, text in ((USER_ID, user), (USER_PWD, password)):
        if not _is_utf_8(text):
            raise InputError(f"{variable} is not UTF-8 text; set it again in a UTF-8 terminal")
    index = environment.get(INDEX) or DEFAULT_INDEX
    if not re.fullmatch(_INDEX_NAME, index):
        raise InputError(
            f"{INDEX} is {index!r}; use lower-case letters, digits, '-', '_' and '.', as in "
            f"{DEFAULT_INDEX!r}"
        )
    ca_certs = environment.get(CA_CERTS)
    return Settings(
        _parse_url(environment.get(URL, "")),
        index,
        _check_certificates(path.expand_user(ca_certs, CA_CERTS)) if ca_certs else None,
        user,
        password,
        _parse_shards(environment.get(SHARDS, "")),
    )


def _parse_shards(text: str) -> int | None:
    if not text:
        return None
    # not int(), which takes "1_2" and digits of any script
    if not re.fullmatch("[0-9]{1,4}", text) or not 1 <= int(text) <= _MAX_SHARDS:
        raise InputError(f"{SHARDS} is {text!r}; use a whole number from 1 to {_MAX_SHARDS}")
    return int(text)


def _is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _parse_url(text: str) -> str:
    url = address.parse_url(
        URL, text, example="https://elastic.example.org:9200", login=f"{USER_ID} and {USER_PWD}"
    )
    if urlsplit(url).port is None:
        raise InputError(f"{URL} has no port; the default of Elasticsearch is 9200")
    return url


def _check_certificates(file: Path) -> Path:
    """Return the file if it holds certificates, else raise InputError."""
    try:
        if not file.is_file():
            raise InputError(f"{CA_CERTS} is {file}, which is not a file")
        ssl.create_default_context(cafile=file)
    except (ssl.SSLError, OSError) as error:
        raise InputError(f"{CA_CERTS} is {file}, which holds no PEM certificate") from error
    return file
