"""The check before anything is done."""

from contextlib import closing

import pytest
from obstore.exceptions import GenericError

from common.errors import DatabaseError
from get_data.database.s3_utils.errors import diagnose
from get_data.database.s3_utils.settings import from_environment
from tests.s3_utils.helpers import SECRET, assert_no_secret, error_body, open_store, unused_url


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"PATATE_S3_ENDPOINT_URL": "http://nowhere.invalid"}, "host.*PATATE_S3_ENDPOINT_URL"),
        ({"PATATE_S3_ENDPOINT_URL": unused_url}, "refused.*PATATE_S3_ENDPOINT_URL"),
        ({"PATATE_S3_ENDPOINT_URL": "https"}, "https.*PATATE_S3_ENDPOINT_URL"),
        ({"PATATE_S3_KEY_ID": "somebody"}, "unknown key id.*PATATE_S3_KEY_ID"),
        ({"PATATE_S3_KEY_ID": SECRET}, "malformed key id.*PATATE_S3_KEY_ID"),
        ({"PATATE_S3_KEY": SECRET}, "secret key .*PATATE_S3_KEY$"),
        ({"PATATE_S3_BUCKET": "no-such-bucket"}, "no such bucket.*PATATE_S3_BUCKET"),
        ({"PATATE_S3_REGION": "eu-west-3"}, "region, us-east-1; check PATATE_S3_REGION"),
    ],
)
def test_wrong_settings_are_reported_with_the_variable(environment, changes, expected):
    changes = {name: value() if callable(value) else value for name, value in changes.items()}
    if changes.get("PATATE_S3_ENDPOINT_URL") == "https":
        url = environment["PATATE_S3_ENDPOINT_URL"]
        changes["PATATE_S3_ENDPOINT_URL"] = url.replace("http:", "https:")
    with pytest.raises(DatabaseError, match=expected) as raised:
        open_store(environment, retry_timeout_s=0.5, **changes).check(writing=False)
    assert_no_secret(raised.value, environment["PATATE_S3_KEY"])


@pytest.mark.parametrize("secret", ["b", "0", "Connect"])
def test_a_login_that_is_part_of_other_words_hides_no_reason(secret):
    environment = {
        "PATATE_S3_BUCKET": "pictures",
        "PATATE_S3_ENDPOINT_URL": unused_url(),
        "PATATE_S3_KEY_ID": secret,
        "PATATE_S3_KEY": secret,
    }
    with pytest.raises(DatabaseError) as raised:
        open_store(environment, retry_timeout_s=0).check(writing=False)
    assert raised.value.diagnosis.reason == "connection refused"


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (301, b"", "another region.*PATATE_S3_REGION"),
        (301, error_body("PermanentRedirect"), "another region.*PATATE_S3_REGION"),
        (403, error_body("RequestTimeTooSkewed"), "clock.*date and time"),
        (400, error_body("ExpiredToken"), "expired.*PATATE_S3_KEY_ID"),
        (403, b"", "permission.*PATATE_S3_KEY_ID"),
        (418, b"", "answered 418.*PATATE_S3_ENDPOINT_URL"),
        (200, b"Hello", "not a response of S3.*PATATE_S3_ENDPOINT_URL"),
        (503, error_body("SlowDown"), r"unavailable \(503\).*PATATE_S3_ENDPOINT_URL"),
    ],
)
def test_error_responses_are_reported_in_plain_words(stub, status, answer, expected):
    stub.answers += [("GET", status, answer)] * 20
    with pytest.raises(DatabaseError, match=expected) as raised:
        open_store(stub.environment, retry_timeout_s=0.5).check(writing=False)
    assert_no_secret(raised.value)


def test_without_an_endpoint_the_network_is_to_be_checked():
    failed = GenericError('HTTP error: no\n\nDebug source:\n"dns error"')
    diagnosis = diagnose(failed, from_environment({"PATATE_S3_BUCKET": "pictures"}))
    assert diagnosis.remedy == "the network, PATATE_S3_REGION and PATATE_S3_ENDPOINT_URL"


def test_a_login_without_read_permission_is_reported(s3, environment):
    with closing(s3.client()) as client:
        client.delete_bucket_policy(Bucket=environment["PATATE_S3_BUCKET"])
    with pytest.raises(DatabaseError, match="permission; check PATATE_S3_KEY_ID"):
        open_store(environment).check(writing=False)


def test_a_login_that_may_only_list_is_reported(stub):
    stub.answers += [("GET", 200, b"<ListBucketResult/>"), ("GET", 403, b"")]
    with pytest.raises(DatabaseError, match="permission; check PATATE_S3_KEY_ID"):
        open_store(stub.environment).check(writing=False)


def test_a_searcher_passes_the_check_for_reading_only(s3, environment):
    store = open_store(s3.environment(environment["PATATE_S3_BUCKET"], s3.searcher))
    store.check(writing=False)
    with pytest.raises(DatabaseError, match="permission; check PATATE_S3_KEY_ID"):
        store.check(writing=True)


@pytest.mark.parametrize("writing", [False, True])
def test_a_check_leaves_nothing_behind(s3, environment, writing):
    store = open_store(environment)
    store.check(writing=writing)
    assert store.notice == ""
    with closing(s3.client()) as client:
        listed = client.list_objects_v2(Bucket=environment["PATATE_S3_BUCKET"])
    assert listed["KeyCount"] == 0


def test_a_check_for_reading_sends_two_requests(store, proxy):
    store.check(writing=False)
    assert proxy.requests == {("GET", "list"): 1, ("GET", "object"): 1}
