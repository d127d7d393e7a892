"""Why a request to S3 failed, in plain words, told from what obstore says of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from get_data.database.s3_utils.settings import (
    ADDRESSING,
    BUCKET,
    ENDPOINT_URL,
    KEY,
    KEY_ID,
    REGION,
    Settings,
)

NOT_IMPLEMENTED = 501

_PASSING = {429, 500, 502, 503, 504}
_PASSING_CODES = {"InternalError", "OperationAborted", "RequestTimeout", "SlowDown"}

_ANOTHER_REGION = ("the bucket is in another region", REGION)
_CODES: Mapping[str, tuple[str, str]] = {
    "InvalidAccessKeyId": ("the key id is not known there", KEY_ID),
    "SignatureDoesNotMatch": ("the secret key is not the one of that key id", KEY),
    "AccessDenied": ("the login has no right to do that", KEY_ID),
    "AllAccessDisabled": ("the login has no right to do that", KEY_ID),
    "ExpiredToken": ("the login has expired", KEY_ID),
    "InvalidToken": ("the login is not known there", KEY_ID),
    "NoSuchBucket": (
        "there is no such bucket",
        f"{BUCKET}, or create it with upload_data.py --create-bucket",
    ),
    "InvalidBucketName": ("no bucket can have that name", BUCKET),
    "AuthorizationHeaderMalformed": ("no key id has that form", KEY_ID),
    "PermanentRedirect": _ANOTHER_REGION,
    "IllegalLocationConstraintException": _ANOTHER_REGION,
    "PathStyleDomainForbidden": ("buckets are part of the host's name there", ADDRESSING),
    "SecondLevelDomainForbidden": ("buckets are part of the host's name there", ADDRESSING),
    "RequestTimeTooSkewed": ("this machine's clock is wrong", "date and time"),
}

_HTTP_OR_HTTPS = f"{ENDPOINT_URL} (http or https?)"
_CERTIFICATE = f"{ENDPOINT_URL}, and SSL_CERT_FILE for an authority of your own"
_CONNECTIONS: Mapping[str, tuple[str, str, bool]] = {  # how it broke off; whether that may pass
    "dns error": ("the host is not known", ENDPOINT_URL, True),
    "ConnectionRefused": ("nobody listens there", ENDPOINT_URL, True),
    "InvalidCertificate": ("its certificate is not trusted", _CERTIFICATE, False),
    "InvalidContentType": ("it does not speak https", _HTTP_OR_HTTPS, False),
    "kind: Redirect": ("it sends us round in circles", ENDPOINT_URL, False),
    "TimedOut": ("no answer in time", ENDPOINT_URL, True),
    "": ("the connection breaks off", _HTTP_OR_HTTPS, True),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request failed, what to look at, and whether it may go through when sent again."""

    reason: str
    look_at: str
    may_pass: bool = False
    status: int = 0
    code: str = ""
    is_about_the_way: bool = False  # the server was not reached, or it is another one

    @classmethod
    def of(cls, error: Exception, settings: Settings) -> "Refusal":
        """What the error means for whoever chose the settings."""
        said, _, details = settings.without_secrets(str(error)).partition("\n\nDebug source:")
        status = int(_found(r"status code: (\d{3})", said) or 0)
        code = _found(r"<Code>(\w+)</Code>", said)
        if status or code:
            reason, look_at, may_pass = _answered(status, code, said)
        elif "without LOCATION" in said:
            reason, look_at, may_pass = *_ANOTHER_REGION, False
        elif "HTTP error: " in said:
            reason, look_at, may_pass = next(
                meaning for mark, meaning in _CONNECTIONS.items() if mark in details
            )
        elif "credential provider" in said:
            why = said.partition("provider: ")[2].partition("\n")[0]
            reason, look_at, may_pass = f"no login can be had: {why}", KEY_ID, False
        else:
            reason, look_at, may_pass = f"not what S3 answers: {_last(said)}", ENDPOINT_URL, False
        is_about_the_way = look_at.startswith(ENDPOINT_URL)
        return cls(reason, _to_look_at(look_at, settings), may_pass, status, code, is_about_the_way)


def _answered(status: int, code: str, said: str) -> tuple[str, str, bool]:
    """What an answer that is no success means, what to look at, and whether that may pass."""
    if status in _PASSING or code in _PASSING_CODES:
        return f"the server is not able to, just now ({status or code})", ENDPOINT_URL, True
    if status == 403 and not code:
        code = "AccessDenied"
    if region := _found(r"<Region>([\w-]+)</Region>", said):
        return f"{_ANOTHER_REGION[0]}, {region}", REGION, False
    if code in _CODES:
        return *_CODES[code], False
    return f"it answers {status} {code}".rstrip(), ENDPOINT_URL, False


def _to_look_at(named: str, settings: Settings) -> str:
    """What decides, where the variable named is not set."""
    if named in (KEY_ID, KEY) and not settings.key:
        return f"the AWS profile or role, or set {KEY_ID} and {KEY}"
    if named == KEY_ID:
        return f"{KEY_ID}, and the rights of that login"
    if named.startswith(ENDPOINT_URL) and not settings.endpoint_url:
        return f"the network, {REGION} and {ENDPOINT_URL}"
    return named


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""


def _last(said: str) -> str:
    """The end of a message, behind what was being done."""
    return said.partition("\n")[0].rpartition(" - ")[2]
