"""Settings from the environment, which no text shows the secrets of."""

import pytest

from common.errors import InputError
from get_data.database.s3_utils.picture_store import S3PictureStore
from get_data.database.s3_utils.settings import from_environment
from tests.s3_utils.helpers import SECRET, assert_no_secret


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"PATATE_S3_BUCKET": ""}, "PATATE_S3_BUCKET"),
        ({"PATATE_S3_BUCKET": "s3://pictures"}, "PATATE_S3_BUCKET"),
        ({"PATATE_S3_BUCKET": "pictures/2024"}, "PATATE_S3_BUCKET"),
        ({"PATATE_S3_KEY": ""}, "PATATE_S3_KEY is not"),
        ({"PATATE_S3_KEY_ID": ""}, "PATATE_S3_KEY_ID is not"),
        ({"PATATE_S3_KEY": SECRET + "\n"}, "PATATE_S3_KEY "),
        ({"PATATE_S3_KEY": f" {SECRET}"}, "PATATE_S3_KEY "),
        ({"PATATE_S3_KEY_ID": "Zoé"}, "PATATE_S3_KEY_ID"),
        ({"PATATE_S3_REGION": "Paris, France"}, "PATATE_S3_REGION"),
        ({"PATATE_S3_ENDPOINT_URL": "127.0.0.1:9000"}, "PATATE_S3_ENDPOINT_URL"),
        ({"PATATE_S3_ENDPOINT_URL": "ftp://127.0.0.1"}, "PATATE_S3_ENDPOINT_URL"),
        ({"PATATE_S3_ENDPOINT_URL": "http://"}, "PATATE_S3_ENDPOINT_URL"),
        ({"PATATE_S3_ENDPOINT_URL": "http://127.0.0.1:port"}, "PATATE_S3_ENDPOINT_URL"),
        (
            {"PATATE_S3_ENDPOINT_URL": f"http://id:{SECRET}@host"},
            "PATATE_S3_ENDPOINT_URL holds a login",
        ),
    ],
)
def test_a_bad_variable_is_named_and_no_secret_is_shown(changes, named):
    whole = {"PATATE_S3_BUCKET": "pictures", "PATATE_S3_KEY_ID": "id", "PATATE_S3_KEY": SECRET}
    with pytest.raises(InputError, match=named) as raised:
        from_environment({**whole, **changes})
    assert_no_secret(raised.value)


def test_settings_show_no_login():
    settings = from_environment(
        {"PATATE_S3_BUCKET": "pictures", "PATATE_S3_KEY_ID": "my-id", "PATATE_S3_KEY": SECRET}
    )
    shown = repr(settings) + repr(S3PictureStore(settings)) + settings.name
    assert SECRET not in shown
    assert "my-id" not in shown
