"""The bucket is created when it does not exist."""

import pytest

from common.errors import DatabaseError
from get_data.database.s3_utils.bucket import create_bucket
from get_data.database.s3_utils.picture_store import S3PictureStore
from get_data.database.s3_utils.settings import from_environment
from tests.s3_utils.helpers import SECRET, assert_no_secret, error_body
from tests.servers.addresses import new_name


def test_creating_a_bucket_twice_succeeds(s3):
    name = new_name("made")
    settings = from_environment(s3.environment(name, s3.admin))
    create_bucket(settings)
    create_bucket(settings)
    S3PictureStore(settings).check(writing=True)


@pytest.mark.parametrize(
    ("region", "constraint"), [("", None), ("us-east-1", None), ("eu-west-3", b">eu-west-3<")]
)
def test_a_bucket_is_created_in_its_region(stub, region, constraint):
    create_bucket(from_environment({**stub.environment, "PATATE_S3_REGION": region}))
    looked, (method, path, _, body) = stub.requests
    assert looked[:2] == ("HEAD", "/pictures")
    assert (method, path) == ("PUT", "/pictures")
    assert constraint in body if constraint else body == b""


@pytest.mark.parametrize("code", ["AccessDenied", "BucketAlreadyExists"])
def test_a_bucket_that_cannot_be_created_is_reported(stub, code):
    stub.answers += [("PUT", 403, error_body(code))]
    with pytest.raises(DatabaseError, match=f"{code}.*PATATE_S3_BUCKET") as raised:
        create_bucket(from_environment(stub.environment))
    assert_no_secret(raised.value)


REFUSALS = ["AccessDenied", "BucketAlreadyExists", "OperationAborted", "NotImplemented", ""]


@pytest.mark.parametrize("code", REFUSALS)
def test_an_existing_bucket_is_not_created_again(stub, code):
    stub.answers += [("HEAD", 200, b""), ("PUT", 403, error_body(code))]
    create_bucket(from_environment(stub.environment))
    assert [request[0] for request in stub.requests] == ["HEAD"]


@pytest.mark.parametrize("code", REFUSALS)
def test_a_bucket_that_somebody_else_creates_meanwhile_is_accepted(stub, code):
    stub.answers += [("HEAD", 404, b""), ("PUT", 409, error_body(code)), ("HEAD", 200, b"")]
    create_bucket(from_environment(stub.environment))
    assert [request[0] for request in stub.requests] == ["HEAD", "PUT", "HEAD"]


@pytest.fixture
def login_of_aws(stub, monkeypatch):
    """Return the variables of the stub without their login, which AWS variables have instead."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", stub.environment["PATATE_S3_KEY_ID"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    without = ("PATATE_S3_KEY_ID", "PATATE_S3_KEY")
    return {name: value for name, value in stub.environment.items() if name not in without}


def test_a_bucket_is_created_with_the_token_of_a_role(stub, login_of_aws, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-a-role")
    create_bucket(from_environment(login_of_aws))
    tokens = [(method, headers["x-amz-security-token"]) for method, _, headers, _ in stub.requests]
    assert tokens == [("HEAD", "of-a-role"), ("PUT", "of-a-role")]


def test_a_login_that_cannot_be_sent_creates_no_bucket(stub, login_of_aws, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"{SECRET}\n")
    with pytest.raises(DatabaseError, match="line break") as raised:
        create_bucket(from_environment(login_of_aws))
    assert_no_secret(raised.value)
    assert stub.requests == []
