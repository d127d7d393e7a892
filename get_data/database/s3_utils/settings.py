"""The settings of a team's picture store, read from the environment."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from common.errors import InputError
from get_data.database import address

BUCKET = "PATATE_S3_BUCKET"
KEY_ID = "PATATE_S3_KEY_ID"
KEY = "PATATE_S3_KEY"
REGION = "PATATE_S3_REGION"
ENDPOINT_URL = "PATATE_S3_ENDPOINT_URL"
ADDRESSING = "PATATE_S3_ADDRESSING"

PATH = "path"  # https://s3.example.org/bucket/key
VIRTUAL = "virtual"  # https://bucket.s3.example.org/key

REGION_PATTERN = re.compile(r"[a-z0-9-]+")
_BUCKET_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_HOST_PATTERN = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")  # for a bucket in a host name


@dataclass(frozen=True, slots=True)
class Settings:
    """A bucket and the login. Without a key, boto3 finds the login: in an AWS profile or role."""

    bucket: str
    key_id: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    region: str = ""
    endpoint_url: str = ""
    addressing: str = PATH

    @property
    def name(self) -> str:
        """The address of the bucket."""
        return f"{self.endpoint_url or 's3:/'}/{self.bucket}"

    def without_secrets(self, text: str) -> str:
        """Return a text with key and key id masked."""
        for secret in filter(None, (self.key, self.key_id)):
            text = text.replace(secret, "***")
        return text


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Return the settings, checked as far as possible without a connection.

    Raises:
        InputError: a variable is wrong; the message names it.
    """
    bucket, key_id, key, region, endpoint_url = (
        environment.get(name, "") for name in (BUCKET, KEY_ID, KEY, REGION, ENDPOINT_URL)
    )
    if not _BUCKET_PATTERN.fullmatch(bucket):
        raise InputError(f"{BUCKET} is {bucket!r}; set it to a bucket name, such as pictures")
    if bool(key_id) != bool(key):
        given, missing = (KEY_ID, KEY) if key_id else (KEY, KEY_ID)
        raise InputError(
            f"{given} is set but {missing} is not; set both, or neither for an AWS profile"
        )
    for variable, secret in ((KEY_ID, key_id), (KEY, key)):
        if not can_be_sent(secret):
            raise InputError(
                f"{variable} has a space, a line break or an accent in it; copy it again"
            )
    if region and not REGION_PATTERN.fullmatch(region):
        raise InputError(f"{REGION} is {region!r}; set it to a region name, such as eu-west-3")
    if endpoint_url:
        endpoint_url = address.parse_url(
            ENDPOINT_URL,
            endpoint_url,
            example="https://s3.example.org",
            login=f"{KEY_ID} and {KEY}",
        )
    addressing = environment.get(ADDRESSING) or PATH
    if addressing not in (PATH, VIRTUAL):
        raise InputError(f"{ADDRESSING} is {addressing!r}; set it to {PATH} or {VIRTUAL}")
    if addressing == VIRTUAL:
        _check_virtual_addressing(bucket, endpoint_url)
    return Settings(bucket, key_id, key, region, endpoint_url, addressing)


def can_be_sent(secret: str) -> bool:
    """Return whether a key or a key id has only characters that can be in a header."""
    return secret.isascii() and secret.isprintable() and " " not in secret


def _check_virtual_addressing(bucket: str, endpoint_url: str) -> None:
    """Raise InputError if the bucket cannot be part of the server's host name."""
    is_plain_http = endpoint_url.startswith("http:")
    if not _HOST_PATTERN.fullmatch(bucket) or ("." in bucket and not is_plain_http):
        raise InputError(
            f"{BUCKET} is {bucket!r}, which cannot be part of a host name; choose another bucket, "
            f"or set {ADDRESSING}={PATH}"
        )
    try:
        ipaddress.ip_address(urlsplit(endpoint_url).hostname or "")
    except ValueError:
        return
    raise InputError(
        f"{ENDPOINT_URL} has an IP address, but {ADDRESSING}={VIRTUAL} needs a host name; use the "
        f"host name, or set {ADDRESSING}={PATH}"
    )
