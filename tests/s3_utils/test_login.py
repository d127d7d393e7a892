"""The login: from the settings or from boto3, and from nothing else."""

import os
import subprocess
import sys

import pytest

import path
from common.errors import DatabaseError, InputError
from get_data.database.s3_utils.bucket import create_bucket
from get_data.database.s3_utils.settings import from_environment
from tests.s3_utils.helpers import (
    KEY,
    SECRET,
    assert_no_secret,
    keys,
    open_store,
    put_all,
    unused_url,
)


def test_the_login_may_come_from_aws_variables(s3, environment, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", environment.pop("PATATE_S3_KEY_ID"))
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", environment.pop("PATATE_S3_KEY"))
    store = open_store(environment)
    store.check(writing=True)
    put_all(store, keys(50))
    assert len(store.sizes(keys(50))) == 50


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """A profile of a user who has no other login; returns a function that fills it."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "car")

    def fill(key_id, key, region="us-east-1"):
        (tmp_path / "config").write_text(f"[profile car]\nregion = {region}\n")
        (tmp_path / "credentials").write_text(
            f"[car]\naws_access_key_id = {key_id}\naws_secret_access_key = {key}\n"
        )

    return fill


def test_the_login_may_be_a_profile(environment, profile):
    profile(environment.pop("PATATE_S3_KEY_ID"), environment.pop("PATATE_S3_KEY"))
    open_store(environment).check(writing=True)


def test_the_variable_overrides_the_region_of_a_profile(environment, profile):
    profile(environment.pop("PATATE_S3_KEY_ID"), environment.pop("PATATE_S3_KEY"), "eu-west-3")
    open_store(environment).check(writing=False)
    with pytest.raises(DatabaseError, match="region, us-east-1"):
        open_store(environment, PATATE_S3_REGION="").check(writing=False)


def test_a_profile_with_a_wrong_login_is_reported_as_such(environment, profile):
    profile(environment.pop("PATATE_S3_KEY_ID"), SECRET)
    del environment["PATATE_S3_KEY"]
    with pytest.raises(DatabaseError, match=r"secret key.*AWS profile or role") as raised:
        open_store(environment).check(writing=False)
    assert_no_secret(raised.value)


@pytest.mark.usefixtures("profile")
def test_a_missing_login_is_reported(monkeypatch):
    with pytest.raises(InputError, match=r"PATATE_S3_KEY_ID and PATATE_S3_KEY, or .* profile"):
        open_store({"PATATE_S3_BUCKET": "pictures"})
    monkeypatch.delenv("AWS_PROFILE")
    with pytest.raises(InputError, match=r"PATATE_S3_KEY_ID and PATATE_S3_KEY, or .* profile"):
        open_store({"PATATE_S3_BUCKET": "pictures"})


def test_a_role_that_cannot_be_assumed_is_reported(environment, profile, tmp_path, monkeypatch):
    profile(environment.pop("PATATE_S3_KEY_ID"), environment.pop("PATATE_S3_KEY"))
    with (tmp_path / "config").open("a") as config:
        config.write("[profile role]\nrole_arn = arn:aws:iam::1:role/car\nsource_profile = car\n")
    monkeypatch.setenv("AWS_PROFILE", "role")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", unused_url())
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(DatabaseError, match=r"no credentials: .*AWS profile or role") as raised:
        open_store(environment).check(writing=False)
    assert_no_secret(raised.value)


def test_aws_variables_do_not_redirect_requests(environment, monkeypatch):
    for name, value in {
        "AWS_ACCESS_KEY_ID": "somebody-else",
        "AWS_SECRET_ACCESS_KEY": "another",
        "AWS_SESSION_TOKEN": "of-another-login",
        "AWS_ENDPOINT_URL": unused_url(),
        "AWS_ENDPOINT_URL_S3": unused_url(),
        "AWS_REGION": "eu-west-3",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
    }.items():
        monkeypatch.setenv(name, value)
    open_store(environment).check(writing=True)


FOREIGN = {
    "AWS_ALLOW_HTTP": "false",
    "AWS_BUCKET": "another",
    "AWS_CHECKSUM_ALGORITHM": "SHA256",
    "AWS_CONDITIONAL_PUT": "disabled",
    "AWS_CONFIG_FILE": "/nonexistent",
    "AWS_COPY_IF_NOT_EXISTS": "header:a:b",
    "AWS_DEFAULTS_MODE": "another",
    "AWS_DEFAULT_CONTENT_TYPE": "image/png",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
    "AWS_HTTP2_ONLY": "true",
    "AWS_MAX_ATTEMPTS": "many",
    "AWS_PROFILE": "nobody",
    "AWS_PROXY_URL": "http://127.0.0.1:9",
    "AWS_REQUEST_CHECKSUM_CALCULATION": "another",
    "AWS_REQUEST_PAYER": "true",
    "AWS_RETRY_MODE": "another",
    "AWS_S3_EXPRESS": "true",
    "AWS_SERVER_SIDE_ENCRYPTION": "aws:kms",
    "AWS_SKIP_SIGNATURE": "true",
    "AWS_SSE_KMS_KEY_ID": "another",
    "AWS_SSE_CUSTOMER_KEY_BASE64": "AAAA",
    "AWS_TIMEOUT": "1 ns",
    "AWS_UNSIGNED_PAYLOAD": "true",
    "AWS_USER_AGENT": "another",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "http_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_variables_of_other_tools_change_no_request(stub, monkeypatch, name):
    def requests():
        stub.requests.clear()
        stub.objects.clear()
        create_bucket(from_environment(stub.environment))
        store = open_store(stub.environment, retry_timeout_s=0.5)
        store.put_new(KEY, b"picture")
        store.back_up(KEY, "run-1")
        store.sizes([KEY])
        return [(method, path, sorted(headers)) for method, path, headers, _ in stub.requests]

    before = requests()
    monkeypatch.setenv(name, FOREIGN[name])
    assert requests() == before
    assert os.environ[name] == FOREIGN[name]


@pytest.mark.new_interpreter
def test_with_a_key_boto3_is_not_imported():
    code = (
        "import sys; from get_data.database.s3_utils.settings import Settings\n"
        "from get_data.database.s3_utils.picture_store import S3PictureStore\n"
        "S3PictureStore(Settings('pictures', 'id', 'key')); print('botocore' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=path.ROOT, stdout=subprocess.PIPE)
    assert done.stdout == b"False\n"
