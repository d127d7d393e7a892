"""Where the team's pictures are and who may get at them, told by the environment."""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from common.errors import DatabaseError, InputError
from get_data.database import address
from get_data.database.proxies import find_route

if TYPE_CHECKING:
    from obstore.store import S3Credential

BUCKET = "PATATE_S3_BUCKET"
KEY_ID = "PATATE_S3_KEY_ID"
KEY = "PATATE_S3_KEY"
REGION = "PATATE_S3_REGION"
ENDPOINT_URL = "PATATE_S3_ENDPOINT_URL"
ADDRESSING = "PATATE_S3_ADDRESSING"

PATH = "path"  # https://s3.example.org/bucket/key
VIRTUAL = "virtual"  # https://bucket.s3.example.org/key

_DEFAULT_REGION = "us-east-1"  # also what servers other than Amazon's are called most
_BUCKET_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_HOST_FORM = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")  # of a bucket that is part of a host
_REGION_FORM = re.compile(r"[a-z0-9-]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the pictures are; without a key, boto3 finds the login: a profile, a role."""

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
        """The text, in which the login, if it is there, cannot be read."""
        for secret in filter(None, (self.key, self.key_id)):
            text = text.replace(secret, "***")
        return text


def from_environment(environment: Mapping[str, str]) -> Settings:
    """The settings, checked as far as that goes without asking the server.

    Raises: InputError that names the variable.
    """
    bucket, key_id, key, region, endpoint_url = (
        environment.get(name, "") for name in (BUCKET, KEY_ID, KEY, REGION, ENDPOINT_URL)
    )
    if not _BUCKET_FORM.fullmatch(bucket):
        raise InputError(
            f"{BUCKET} is {bucket!r}; expected a bucket's name alone, such as pictures"
        )
    if bool(key_id) != bool(key):
        there, missing = (KEY_ID, KEY) if key_id else (KEY, KEY_ID)
        raise InputError(f"{there} is set but {missing} not; set both, or none for an AWS profile")
    for name, secret in ((KEY_ID, key_id), (KEY, key)):
        if not _can_be_sent(secret):
            raise InputError(f"{name} has a space, a line end or an accent in it; copy it again")
    if region and not _REGION_FORM.fullmatch(region):
        raise InputError(f"{REGION} is {region!r}; expected a name such as eu-west-3")
    if endpoint_url:
        endpoint_url = address.parse_url(
            ENDPOINT_URL,
            endpoint_url,
            example="https://s3.example.org",
            login=f"{KEY_ID} and {KEY}",
        )
    addressing = environment.get(ADDRESSING) or PATH
    if addressing not in (PATH, VIRTUAL):
        raise InputError(f"{ADDRESSING} is {addressing!r}; it may be {PATH} or {VIRTUAL}")
    if addressing == VIRTUAL:
        _check_virtual(bucket, endpoint_url)
    return Settings(bucket, key_id, key, region, endpoint_url, addressing)


def _check_virtual(bucket: str, endpoint_url: str) -> None:
    """Raise InputError when the bucket cannot be a part of the server's host name."""
    is_plain_http = endpoint_url.startswith("http:")
    if not _HOST_FORM.fullmatch(bucket) or ("." in bucket and not is_plain_http):
        raise InputError(
            f"{BUCKET} is {bucket!r}, which cannot be a part of a host's name as {ADDRESSING}="
            f"{VIRTUAL} has it; take another bucket, or {PATH}"
        )
    try:
        ipaddress.ip_address(urlsplit(endpoint_url).hostname or "")
    except ValueError:
        return
    raise InputError(
        f"{ENDPOINT_URL} is a number, and {ADDRESSING}={VIRTUAL} needs the name of a host; give "
        f"the name, or set {ADDRESSING}={PATH}"
    )


def _can_be_sent(secret: str) -> bool:
    return secret.isascii() and secret.isprintable() and " " not in secret


@dataclass(frozen=True, slots=True)
class Login:
    """What every request needs, found once."""

    credentials: Callable[[], "S3Credential"] = field(repr=False)
    region: str
    url: str

    def url_of(self, settings: Settings) -> str:
        """Return the address that the requests of the picture store begin with."""
        if settings.addressing == PATH:
            return self.url
        scheme, _, host = self.url.partition("://")
        return f"{scheme}://{settings.bucket}.{host}"

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The login of the settings, or the one that boto3 finds. Raises: InputError."""
        if settings.key:
            given: S3Credential = {
                "access_key_id": settings.key_id,
                "secret_access_key": settings.key,
                "token": None,
                "expires_at": None,
            }
            return cls._at(settings, lambda: given, settings.region)
        from botocore.exceptions import (  # type: ignore[import-untyped]  # noqa: PLC0415 - slow
            BotoCoreError,
        )
        from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415

        try:
            found = Boto3CredentialProvider()
        except (BotoCoreError, ValueError) as error:
            raise InputError(
                f"no login for the picture store: set {KEY_ID} and {KEY}, or an AWS profile or "
                f"role ({error})"
            ) from error
        return cls._at(
            settings, lambda: _checked(found()), settings.region or found.config.get("region", "")
        )

    @classmethod
    def _at(
        cls, settings: Settings, credentials: Callable[[], "S3Credential"], region: str
    ) -> Self:
        region = region or _DEFAULT_REGION
        if not _REGION_FORM.fullmatch(region):
            raise InputError(
                f"the region of the AWS profile is {region!r}; set {REGION} to a name such as "
                "eu-west-3"
            )
        url = settings.endpoint_url or f"https://s3.{region}.amazonaws.com"
        return cls(credentials, region, url)


def _checked(found: "S3Credential") -> "S3Credential":
    """The login that boto3 found. Raises: ValueError, which obstore passes on."""
    if not all(_can_be_sent(found[part] or "") for part in ("access_key_id", "secret_access_key")):
        raise ValueError("it has a space, a line end or an accent in it")
    return found


def create_bucket(settings: Settings) -> None:
    """Create the bucket if it is not there; one that is there stays as it was.

    Servers have many ways to say that a bucket is there already, and some refuse whoever may not
    create one even then, so it is looked for: before, and again when creating it failed, because
    somebody may have created it meanwhile. Raises: DatabaseError.
    """
    from botocore.exceptions import (  # noqa: PLC0415 - slow
        BotoCoreError,
        ClientError,
    )

    login = Login.of(settings)
    options: dict[str, Any] = {}
    if login.region != _DEFAULT_REGION:  # which must not be named
        options["CreateBucketConfiguration"] = {"LocationConstraint": login.region}
    with closing(_client(settings, login)) as client:
        try:
            if _is_there(client, settings.bucket):
                return
            client.create_bucket(Bucket=settings.bucket, **options)
        except client.exceptions.BucketAlreadyOwnedByYou:
            return
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and _is_there(client, settings.bucket):
                return
            said = settings.without_secrets(str(error))
            raise DatabaseError(
                f"bucket {settings.bucket!r} cannot be created at {login.url}: {said}; "
                f"check {BUCKET}, {REGION} and the rights of the login{find_route(login.url).note}"
            ) from None


def _client(settings: Settings, login: Login) -> Any:
    """Return a client of boto3 that goes where the picture store goes, and the same way."""
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415 - slow, and seldom needed
    from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415

    proxy = find_route(login.url).proxy
    return boto3.client(
        "s3",
        region_name=login.region,
        endpoint_url=login.url,
        aws_access_key_id=settings.key_id or None,
        aws_secret_access_key=settings.key or None,
        verify=os.environ.get("SSL_CERT_FILE") or None,
        config=Config(
            s3={"addressing_style": settings.addressing},
            proxies={"https": proxy} if proxy else {},
        ),
    )


def _is_there(client: Any, bucket: str) -> bool:
    """Return whether the bucket is there, and the login may use it."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        client.head_bucket(Bucket=bucket)
    except ClientError:
        return False
    return True
