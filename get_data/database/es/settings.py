"""Where the team's Elasticsearch is and who asks, told by the environment."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from errors import InputError

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
        _checked_certificates(Path(ca_certs)) if ca_certs else None,
        user,
        password,
    )


def _checked_url(text: str) -> str:
    expected = 'expected such as "https://elastic.example.org:9200"'
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError as error:
        raise InputError(f"{URL} is no address; {expected}") from error
    if "@" in url.netloc:
        raise InputError(
            f"{URL} holds a login; set {USER_ID} and {USER_PWD}, and take it out of the address"
        )
    if url.scheme not in ("http", "https") or not host or _has_more(url):
        raise InputError(f"{URL} is {text!r}; {expected}")
    if port is None:
        raise InputError(f"{URL} is {text!r}, without a port; Elasticsearch's own is 9200")
    return text.rstrip("/")


def _has_more(url: SplitResult) -> bool:
    return bool(url.query or url.fragment)


def _checked_certificates(file: Path) -> Path:
    if not file.is_file():
        raise InputError(f"{CA_CERTS} names {file}, which is no file")
    try:
        ssl.create_default_context(cafile=file)
    except (ssl.SSLError, OSError) as error:
        raise InputError(f"{CA_CERTS} names {file}, which holds no PEM certificate") from error
    return file
