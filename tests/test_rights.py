"""The rights that the project asks a team to give: enough for the scripts, and no more."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from botocore.exceptions import ClientError

from tests.servers.addresses import Cluster, Gateway, new_name

DOCUMENT = {"img_id": "one"}


@pytest.fixture
def labels(elasticsearch_8: Cluster) -> Iterator[str]:
    """An index with one document."""
    index = new_name("labels")
    elasticsearch_8.ask("PUT", f"/{index}/_create/there?refresh=true", DOCUMENT)
    yield index
    elasticsearch_8.ask("DELETE", f"/{index}")


@pytest.mark.parametrize(
    ("method", "request_path", "searcher", "writer"),
    [
        pytest.param("GET", "{}/_search", 200, 200, id="search"),
        pytest.param("POST", "{}/_mget", 200, 200, id="mget"),
        pytest.param("GET", "{}/_mapping", 200, 200, id="mapping"),
        pytest.param("GET", "{}/_settings", 200, 200, id="settings"),
        pytest.param("POST", "{}/_pit?keep_alive=1m", 200, 200, id="point in time"),
        pytest.param("PUT", "{}/_create/new?refresh=wait_for", 403, 201, id="create"),
        pytest.param("DELETE", "{}/_doc/there", 403, 200, id="remove"),
        pytest.param("POST", "{}/_refresh", 403, 200, id="refresh"),
        pytest.param("PUT", "{}-more", 403, 200, id="create an index"),
        pytest.param("PUT", "others-{}", 403, 403, id="create another index"),
        pytest.param("GET", "others-{}/_search", 403, 403, id="search another index"),
        pytest.param("DELETE", "{}", 403, 403, id="delete the index"),
        pytest.param("GET", "_cluster/settings", 403, 403, id="cluster"),
    ],
)
def test_elasticsearch_lets_each_role_do_its_work_and_no_more(
    elasticsearch_8: Cluster,
    labels: str,
    method: str,
    request_path: str,
    searcher: int,
    writer: int,
) -> None:
    body = {"ids": ["there"]} if request_path.endswith("_mget") else None
    if "_create" in request_path:
        body = DOCUMENT
    where = "/" + request_path.format(labels)
    asked = [
        elasticsearch_8.ask(method, where, body, login)[0]
        for login in (elasticsearch_8.searcher, elasticsearch_8.writer)
    ]
    assert asked == [searcher, writer]


@pytest.fixture
def bucket(s3: Gateway) -> str:
    """A bucket with one object in each folder."""
    name = s3.make_bucket()
    with closing(s3.client()) as client:
        for folder in ("pictures", "deleting", "sets", "others"):
            client.put_object(Bucket=name, Key=f"{folder}/there", Body=b"picture")
    return name


@pytest.mark.parametrize(
    ("action", "key", "searcher", "writer"),
    [
        pytest.param("list_objects_v2", "", 200, 200, id="list"),
        pytest.param("get_object", "pictures/there", 200, 200, id="get"),
        pytest.param("get_object", "deleting/there", 200, 200, id="get aside"),
        pytest.param("get_object", "sets/there", 200, 200, id="get a set"),
        pytest.param("put_object", "sets/new", 403, 200, id="put a set"),
        pytest.param("delete_object", "sets/there", 403, 204, id="delete a set"),
        pytest.param("get_object", "others/there", 403, 403, id="get another"),
        pytest.param("put_object", "pictures/new", 403, 200, id="put"),
        pytest.param("put_object", "deleting/new", 403, 200, id="put aside"),
        pytest.param("put_object", "others/new", 403, 403, id="put another"),
        pytest.param("delete_object", "pictures/there", 403, 204, id="delete"),
        pytest.param("delete_object", "others/there", 403, 403, id="delete another"),
        pytest.param("delete_bucket", "", 403, 403, id="delete the bucket"),
        pytest.param("get_bucket_policy", "", 403, 403, id="read the policy"),
    ],
)
def test_s3_lets_each_login_do_its_work_and_no_more(
    s3: Gateway, bucket: str, action: str, key: str, searcher: int, writer: int
) -> None:
    asked = []
    for login in (s3.searcher, s3.writer):
        with closing(s3.client(login)) as client:
            try:
                answer = getattr(client, action)(Bucket=bucket, **({"Key": key} if key else {}))
            except ClientError as error:
                answer = error.response
            if "Body" in answer:
                answer["Body"].close()
            asked.append(answer["ResponseMetadata"]["HTTPStatusCode"])
    assert asked == [searcher, writer]


@pytest.mark.parametrize(
    ("method", "request_path", "body", "expected"),
    [
        pytest.param("PUT", "{}/_create/new?refresh=wait_for", DOCUMENT, 201, id="create"),
        pytest.param("DELETE", "{}/_doc/there", None, 200, id="remove"),
        pytest.param("GET", "{}/_search", None, 200, id="search"),
        pytest.param("PUT", "{}/_mapping", {"properties": {"a": {"type": "long"}}}, 403, id="map"),
        pytest.param("PUT", "{}-more", None, 403, id="create an index"),
    ],
)
def test_a_restricted_writer_changes_labels_but_no_mapping(
    elasticsearch_8: Cluster,
    labels: str,
    method: str,
    request_path: str,
    body: object,
    expected: int,
) -> None:
    where = "/" + request_path.format(labels)
    assert elasticsearch_8.ask(method, where, body, elasticsearch_8.restricted)[0] == expected
