"""The bucket of a team: created with boto3, since obstore cannot."""

import os
from contextlib import closing
from typing import Any

from common.errors import DatabaseError
from get_data.database.proxies import find_route
from get_data.database.s3_utils.endpoint import (
    DEFAULT_REGION,
    Endpoint,
    find_endpoint,
    without_client_variables,
)
from get_data.database.s3_utils.settings import BUCKET, REGION, Settings


def create_bucket(settings: Settings) -> None:
    """Create the bucket if it does not exist.

    Servers report an existing bucket in many ways, and some refuse it to logins that may not create
    any. So the bucket is looked for first, and again after a failure, because somebody else may
    have created it meanwhile.

    Raises:
        DatabaseError: the bucket does not exist and cannot be created.
    """
    from botocore.exceptions import (  # type: ignore[import-untyped]  # noqa: PLC0415 - slow
        BotoCoreError,
        ClientError,
    )

    endpoint = find_endpoint(settings)
    options: dict[str, Any] = {}
    if endpoint.region != DEFAULT_REGION:  # which S3 rejects as a constraint
        options["CreateBucketConfiguration"] = {"LocationConstraint": endpoint.region}
    try:
        with closing(_create_client(settings, endpoint)) as client:
            if _exists(client, settings.bucket):
                return
            try:
                client.create_bucket(Bucket=settings.bucket, **options)
            except ClientError:
                if not _exists(client, settings.bucket):
                    raise
    # ValueError: the login or a setting of the profile is invalid
    except (BotoCoreError, ClientError, ValueError) as error:
        reason = settings.without_secrets(str(error))
        raise DatabaseError(
            f"bucket {settings.bucket!r} cannot be created at {endpoint.url}: {reason}; check "
            f"{BUCKET}, {REGION} and the permissions of the login"
            f"{find_route(endpoint.url).note}"
        ) from None


def _create_client(settings: Settings, endpoint: Endpoint) -> Any:
    """Return a boto3 client with the endpoint and the route of the picture store."""
    import boto3  # type: ignore[import-untyped]  # noqa: PLC0415 - slow, and seldom needed
    from botocore.config import Config  # type: ignore[import-untyped]  # noqa: PLC0415

    proxy = find_route(endpoint.url).proxy
    login = endpoint.credentials()
    with without_client_variables():
        return boto3.client(
            "s3",
            region_name=endpoint.region,
            endpoint_url=endpoint.url,
            aws_access_key_id=login["access_key_id"],
            aws_secret_access_key=login["secret_access_key"],
            aws_session_token=login["token"],
            verify=os.environ.get("SSL_CERT_FILE") or None,
            config=Config(
                s3={"addressing_style": settings.addressing},
                proxies={"https": proxy} if proxy else {},
            ),
        )


def _exists(client: Any, bucket: str) -> bool:
    """Return whether the bucket exists and the login may use it."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        client.head_bucket(Bucket=bucket)
    except ClientError:
        return False
    return True
