"""Server and credentials of requests for pictures."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from common.errors import InputError
from get_data.database.s3_utils.settings import (
    KEY,
    KEY_ID,
    PATH,
    REGION,
    REGION_PATTERN,
    Settings,
    can_be_sent,
)

if TYPE_CHECKING:
    from obstore.store import S3Credential

DEFAULT_REGION = "us-east-1"  # also that of most servers other than Amazon's


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server of the settings.

    Attributes:
        url: the URL of the server.
        region: the region that requests are signed for.
        credentials: returns the login that is valid now.
    """

    url: str
    region: str
    credentials: Callable[[], "S3Credential"] = field(repr=False)

    def bucket_url(self, settings: Settings) -> str:
        """Return the URL that requests start with, which may have the bucket in its host name."""
        if settings.addressing == PATH:
            return self.url
        scheme, _, host = self.url.partition("://")
        return f"{scheme}://{settings.bucket}.{host}"


def find_endpoint(settings: Settings) -> Endpoint:
    """Return the endpoint of the settings, with the login that boto3 finds if they have none.

    Raises:
        InputError: boto3 finds no login, or the AWS profile has an invalid region.
    """
    if settings.key:
        login: S3Credential = {
            "access_key_id": settings.key_id,
            "secret_access_key": settings.key,
            "token": None,
            "expires_at": None,
        }
        return _endpoint(settings, settings.region, lambda: login)
    from botocore.exceptions import (  # type: ignore[import-untyped]  # noqa: PLC0415 - slow
        BotoCoreError,
    )
    from obstore.auth.boto3 import Boto3CredentialProvider  # noqa: PLC0415

    try:
        provider = Boto3CredentialProvider()
    except (BotoCoreError, ValueError) as error:
        raise InputError(
            f"no login for the picture store: set {KEY_ID} and {KEY}, or an AWS profile or "
            f"role ({error})"
        ) from error
    region = settings.region or provider.config.get("region", "")
    return _endpoint(settings, region, lambda: _check_login(provider()))


def _endpoint(
    settings: Settings, region: str, credentials: Callable[[], "S3Credential"]
) -> Endpoint:
    region = region or DEFAULT_REGION
    if not REGION_PATTERN.fullmatch(region):
        raise InputError(
            f"the region of the AWS profile is {region!r}; set {REGION} to a name such as eu-west-3"
        )
    url = settings.endpoint_url or f"https://s3.{region}.amazonaws.com"
    return Endpoint(url, region, credentials)


def _check_login(login: "S3Credential") -> "S3Credential":
    """Return the login, or raise the ValueError that obstore passes on."""
    if not all(can_be_sent(login[part] or "") for part in ("access_key_id", "secret_access_key")):
        raise ValueError("the login has a space, a line break or an accent in it")
    return login


@contextmanager
def without_client_variables() -> Iterator[None]:
    """Hide the environment variables that clients read by themselves while the block creates one.

    AWS_* variables of other tools change where requests go, how, and with which login, and some of
    them cannot be overridden by an option; proxies are chosen by `proxies`.
    """
    hidden = {
        name: value
        for name, value in os.environ.items()
        if name.startswith("AWS_") or name.lower().endswith("_proxy")
    }
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)
