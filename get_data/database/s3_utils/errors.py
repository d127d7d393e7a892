"""Errors of obstore translated into ours: why a request failed, and what to check.

DatabaseError
└── RequestFailed       a request failed for good, or was retried in vain
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from common.errors import DatabaseError
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

_TRANSIENT_STATUSES = {429, 500, 502, 503, 504}
_TRANSIENT_CODES = {"InternalError", "OperationAborted", "RequestTimeout", "SlowDown"}
_REFUSALS = {429, 503}  # of a server that has too much to do

# For each error code of S3 the reason, and what to check.
_OTHER_REGION = ("the bucket is in another region", REGION)
_NO_PERMISSION = ("the login lacks the permission", KEY_ID)
_VIRTUAL_ONLY = ("the server expects buckets in its host name", ADDRESSING)
_CODES: Mapping[str, tuple[str, str]] = {
    "InvalidAccessKeyId": ("unknown key id", KEY_ID),
    "SignatureDoesNotMatch": ("the secret key does not belong to the key id", KEY),
    "AccessDenied": _NO_PERMISSION,
    "AllAccessDisabled": _NO_PERMISSION,
    "ExpiredToken": ("the login has expired", KEY_ID),
    "InvalidToken": ("unknown login", KEY_ID),
    "NoSuchBucket": ("no such bucket", f"{BUCKET}, or create it: upload_data.py --create-bucket"),
    "InvalidBucketName": ("invalid bucket name", BUCKET),
    "AuthorizationHeaderMalformed": ("malformed key id", KEY_ID),
    "PermanentRedirect": _OTHER_REGION,
    "IllegalLocationConstraintException": _OTHER_REGION,
    "PathStyleDomainForbidden": _VIRTUAL_ONLY,
    "SecondLevelDomainForbidden": _VIRTUAL_ONLY,
    "RequestTimeTooSkewed": ("this machine's clock is wrong", "date and time"),
}

# For each mark in obstore's debug text the reason, what to check, and whether it is transient.
_HTTP_OR_HTTPS = f"{ENDPOINT_URL} (http or https?)"
_CERTIFICATE = f"{ENDPOINT_URL}, and SSL_CERT_FILE for a private certificate authority"
_CONNECTION_FAILURES: Mapping[str, tuple[str, str, bool]] = {
    "dns error": ("no such host", ENDPOINT_URL, True),
    "ConnectionRefused": ("connection refused", ENDPOINT_URL, True),
    "InvalidCertificate": ("certificate not trusted", _CERTIFICATE, False),
    "InvalidContentType": ("the server does not speak https", _HTTP_OR_HTTPS, False),
    "kind: Redirect": ("redirect loop", ENDPOINT_URL, False),
    "TimedOut": ("no response in time", ENDPOINT_URL, True),
    "": ("the connection was closed", _HTTP_OR_HTTPS, True),
}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Diagnosis of a failed request.

    Attributes:
        reason: a phrase for the message.
        remedy: what to check, after the word "check".
        is_transient: whether the request may succeed when it is sent again.
        status: the HTTP status, 0 without a response.
        code: the error code of S3, "" without one.
        is_about_route: whether the server was not reached, or is not the expected one.
        is_refusal: whether the server asks for fewer requests.
    """

    reason: str
    remedy: str
    is_transient: bool = False
    status: int = 0
    code: str = ""
    is_about_route: bool = False
    is_refusal: bool = False


class RequestFailed(DatabaseError):
    """A request failed for good, or was retried in vain; `diagnosis` has the details."""

    def __init__(self, message: str, diagnosis: Diagnosis) -> None:
        super().__init__(message)
        self.diagnosis = diagnosis


def diagnose(error: Exception, settings: Settings) -> Diagnosis:
    """Return why a request failed, in terms of the settings."""
    text, _, details = str(error).partition("\n\nDebug source:")
    status = int(_search(r"status code: (\d{3})", text) or 0)
    code = _search(r"<Code>(\w+)</Code>", text)
    if status or code:
        reason, subject, is_transient = _diagnose_response(status, code, text)
    elif "without LOCATION" in text:
        reason, subject, is_transient = *_OTHER_REGION, False
    elif "HTTP error: " in text:
        reason, subject, is_transient = next(
            failure for mark, failure in _CONNECTION_FAILURES.items() if mark in details
        )
    elif "credential provider" in text:
        cause = text.partition("provider: ")[2].partition("\n")[0].removeprefix("ValueError: ")
        reason, subject, is_transient = f"no credentials: {cause}", KEY_ID, False
    else:
        last = text.partition("\n")[0].rpartition(" - ")[2]
        reason, subject, is_transient = f"not a response of S3: {last}", ENDPOINT_URL, False
    return Diagnosis(
        settings.without_secrets(reason),  # not before: a short login may be part of any word
        _remedy(subject, settings),
        is_transient,
        status,
        code,
        is_about_route=subject.startswith(ENDPOINT_URL),
        is_refusal=status in _REFUSALS or code == "SlowDown",
    )


def _diagnose_response(status: int, code: str, text: str) -> tuple[str, str, bool]:
    """Return reason, subject and transience for an error response."""
    if status in _TRANSIENT_STATUSES or code in _TRANSIENT_CODES:
        return f"the server is temporarily unavailable ({status or code})", ENDPOINT_URL, True
    if status == 403 and not code:
        code = "AccessDenied"
    if region := _search(r"<Region>([\w-]+)</Region>", text):
        return f"{_OTHER_REGION[0]}, {region}", REGION, False
    if code in _CODES:
        return *_CODES[code], False
    return f"the server answered {status} {code}".rstrip(), ENDPOINT_URL, False


def _remedy(subject: str, settings: Settings) -> str:
    """Return the setting to check; if the variable is not set, its substitute."""
    if subject in (KEY_ID, KEY) and not settings.key:
        return f"the AWS profile or role, or set {KEY_ID} and {KEY}"
    if subject == KEY_ID:
        return f"{KEY_ID}, and the permissions of that login"
    if subject.startswith(ENDPOINT_URL) and not settings.endpoint_url:
        return f"the network, {REGION} and {ENDPOINT_URL}"
    return subject


def _search(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""
