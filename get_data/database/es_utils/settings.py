"""Where the team's Elasticsearch is and who asks, told by the environment."""

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
CA_CERTS = "PATATE_ES_CA_CERTS"
USER_ID = "PATATE_ES_USER_ID"
USER_PWD = "PATATE_ES_USER_PWD"

DEFAULT_INDEX = "labels"

_INDEX_NAME = "[a-z0-9][a-z0-9._-]{0,199}"


@dataclass(frozen=True, slots=True)
class Settings:
    """One index of one Elasticsearch. The password is in no text that is printed."""

    url: str
    index: str = DEFAULT_INDEX
    ca_certs: Path | None = None
    user: str = ""
    password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The address of the index."""
        return f"{self.url}/{self.index}"


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings, checked as far as that goes without asking the server.

    Raises: InputError that names the variable.
    """
    user, password = environment.get(USER_ID, ""), environment.get(USER_PWD, "")
    if bool(user) != bool(password):
        there, missing = (USER_ID, USER_PWD) if user else (USER_PWD, USER_ID)
        raise InputError(f"{there} is set but {missing} not; set both, or none")
    for name, text in ((USER_ID, user), (USER_PWD, password)):
        if not _is_utf_8(text):
            raise InputError(f"{name} is not UTF-8 text; set it again in a terminal that speaks it")
    index = environment.get(INDEX) or DEFAULT_INDEX
    if not re.fullmatch(_INDEX_NAME, index):
        raise InputError(
            f"{INDEX} is {index!r}; expected small letters, digits, '-', '_' and '.', such as "
            f"{DEFAULT_INDEX!r}"
        )
    ca_certs = environment.get(CA_CERTS)
    return Settings(
        _checked_url(environment.get(URL, "")),
        index,
        _checked_certificates(path.expand_user(ca_certs)) if ca_certs else None,
        user,
        password,
    )


def _is_utf_8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _checked_url(text: str) -> str:
    url = address.checked(
        URL, text, example="https://elastic.example.org:9200", login=f"{USER_ID} and {USER_PWD}"
    )
    if urlsplit(url).port is None:
        raise InputError(f"{URL} is without a port; Elasticsearch's own is 9200")
    return url


def _checked_certificates(file: Path) -> Path:
    try:
        if not file.is_file():
            raise InputError(f"{CA_CERTS} names {file}, which is no file")
        ssl.create_default_context(cafile=file)
    except (ssl.SSLError, OSError) as error:
        raise InputError(f"{CA_CERTS} names {file}, which holds no PEM certificate") from error
    return file
