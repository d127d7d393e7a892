"""Settings from the environment."""

import pytest

from common.errors import InputError
from get_data.database.es_utils.settings import from_environment

GOOD = {
    "PATATE_ES_URL": "https://elastic.example.org:9200/",
    "PATATE_ES_USER_ID": "zoé",
    "PATATE_ES_USER_PWD": "geheim",
}


def test_settings_are_read_from_the_environment():
    settings = from_environment(GOOD)
    assert settings.name == "https://elastic.example.org:9200/labels"
    assert (settings.user, settings.password, settings.ca_certs) == ("zoé", "geheim", None)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PATATE_ES_URL", ""),
        ("PATATE_ES_URL", "elastic.example.org:9200"),
        ("PATATE_ES_URL", "ftp://elastic.example.org:9200"),
        ("PATATE_ES_URL", "https://elastic.example.org"),
        ("PATATE_ES_URL", "https://elastic.example.org:port"),
        ("PATATE_ES_URL", "https://elastic.example.org:9200/?a=geheim"),
        ("PATATE_ES_URL", "https://zoé:geheim@elastic.example.org:9200"),
        ("PATATE_ES_INDEX", "Labels"),
        ("PATATE_ES_INDEX", "../labels"),
        ("PATATE_ES_INDEX", "_all"),
        ("PATATE_ES_INDEX", "labels*"),
        *(
            ("PATATE_ES_SHARDS", text)
            for text in ("0", "1025", "-1", "2.0", "1_2", " 3", "٣", "all")
        ),
        ("PATATE_ES_CA_CERTS", "/no/such/file.pem"),
        ("PATATE_ES_CA_CERTS", __file__),
        ("PATATE_ES_USER_ID", ""),
        ("PATATE_ES_USER_PWD", ""),
    ],
)
def test_a_wrong_setting_is_reported_with_the_variable(variable, value):
    with pytest.raises(InputError, match=variable) as error:
        from_environment({**GOOD, variable: value})
    assert "geheim" not in str(error.value)


def test_the_repr_shows_no_password():
    assert "geheim" not in repr(from_environment(GOOD))
