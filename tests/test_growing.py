"""A new field of a label is one line in the declaration: yesterday's databases go on.

The code of tomorrow is a copy whose declaration has three fields more; the code of today uses the
same database at the same time.
"""

import json
import shutil
import subprocess
import sys
from contextlib import closing

import pytest

import path
from get_data.labels import label_file
from tests.conftest import document, save
from tests.layouts import LAYOUTS
from tests.servers.addresses import new_name
from tests.test_layouts import put_indices

NEW_FIELDS = {
    '    driver: Keyword = ""\n': '    weather: Keyword = ""\n    sky: Text = ""\n',
    "\n\nclass Label(Struct": """    grip: (
        Annotated[float, _meta("Grip of the tyres", "none", "float", ge=0)] | UnsetType
    ) = UNSET
""",
}
QUESTIONS = [
    {"weather": {"type": "term", "value": "sunny"}},
    {"weather": {"type": "exists"}},
    {"weather": {"type": "term", "value": "sunny", "bool": "must_not"}},
    {"weather": {"type": "prefix", "value": "r"}, "driver": {"type": "term", "value": "Zoé"}},
    {"sky": {"type": "wildcard", "value": "*clouds"}},
]
NUMBERS = [  # which only tomorrow's code knows as numbers
    {"label.grip": {"type": "range", "gte": 9.5}},
    {"label.grip": {"type": "term", "value": 10}},
    {"label.grip": {"type": "range", "lt": 9.5, "bool": "must_not"}},
    {"label.grip": {"type": "exists"}},
]
WORDS = {"sky": {"type": "match", "field": "text", "query": "clouds"}}


@pytest.fixture(scope="module")
def tomorrow(tmp_path_factory):
    """The code with three fields more."""
    folder = tmp_path_factory.mktemp("tomorrow")
    for name in ("common", "get_data"):
        shutil.copytree(path.ROOT / name, folder / name)
    for name in ("path.py", "pyproject.toml", "hardware_conf.json"):
        shutil.copy(path.ROOT / name, folder)
    schema = folder / "get_data/labels/schema.py"
    text = schema.read_text()
    for place, addition in NEW_FIELDS.items():
        assert text.count(place) == 1
        before = place if place.startswith(" ") else ""
        after = "" if before else place
        text = text.replace(place, f"{before}{addition}{after}")
    schema.write_text(text)
    return folder


@pytest.fixture(
    params=[
        "local",
        pytest.param("elasticsearch_8", marks=pytest.mark.servers),
        pytest.param("elasticsearch_9", marks=pytest.mark.servers),
    ]
)
def database(request, tmp_path):
    """The variables that lead to yesterday's database."""
    layout = LAYOUTS[0]
    if request.param == "local":
        shutil.copytree(layout / "database", tmp_path / "home" / "database")
        yield {"PATATE_HOME": str(tmp_path / "home")}
        return
    cluster, s3 = (request.getfixturevalue(name) for name in (request.param, "s3"))
    with team_of(cluster, s3, layout) as environment:
        yield environment


class team_of:  # noqa: N801  reads as a function
    """Yesterday's database on servers: the variables of its writer."""

    def __init__(self, cluster, s3, layout):
        self.cluster, self.s3, self.layout = cluster, s3, layout
        self.name = new_name("labels")

    def __enter__(self):
        put_indices(
            self.cluster, self.name, json.loads((self.layout / "elasticsearch.json").read_text())
        )
        bucket = self.s3.make_bucket()
        folder = self.layout / "database"
        with closing(self.s3.client()) as client:
            for file in (folder / "pictures").rglob("*.jpg"):
                key = str(file.relative_to(folder))
                client.put_object(Bucket=bucket, Key=key, Body=file.read_bytes())
        return self.cluster.environment(self.name) | self.s3.environment(bucket)

    def __exit__(self, *_):
        self.cluster.ask("DELETE", f"/{self.name},{self.name}-gone?ignore_unavailable=true")


SERVE = """
import importlib, io, json, os, sys
from get_data.cli import process

for line in sys.stdin:
    script, environment, arguments = json.loads(line)
    for name in [name for name in os.environ if name.startswith("PATATE_")]:
        del os.environ[name]
    os.environ.update(environment)
    main = importlib.import_module(f"get_data.{script}").main
    output = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in output)
    code = process.run(lambda: main(arguments))
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    texts = [stream.buffer.getvalue().decode() for stream in (sys.stdout, sys.stderr)]
    sys.stdout, sys.stderr = output
    print(json.dumps([code, *texts]), flush=True)
"""


class Version:
    """A process with the code of a version, which runs one script after the other."""

    def __init__(self, root):
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE],
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, script, environment, arguments):
        """Return exit code, stdout and stderr of a script."""
        request = [script.removesuffix(".py"), environment, [*map(str, arguments)]]
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.communicate()


_versions = {}


@pytest.fixture(scope="module", autouse=True)
def _close_versions():
    yield
    while _versions:
        _versions.popitem()[1].close()


def run(root, script, environment, *arguments, code=0):
    """Run a script of a version: its counts, and what it says."""
    if root not in _versions:
        _versions[root] = Version(root)
    given, out, err = _versions[root].run(script, environment, arguments)
    assert given == code, err
    return json.loads(out) if out else None, err


def found(root, environment, folder, *questions):
    """The ids that each search finds, of a version."""
    folder.mkdir(exist_ok=True)
    answers = []
    for question in questions:
        file = folder / "answer.json"
        options = ("-p", folder, "-o", file, "--no-download", "--allow-empty")
        run(root, "search_and_download.py", environment, "-q", json.dumps(question), *options)
        answers.append(set(label_file.read(file)))
    return answers


def assert_found(root, environment, folder, documents, questions):
    """A version finds what the labels hold."""
    answers = [set(answer) for answer in expected(documents)[: len(questions)]]
    for question, ids, answer in zip(
        questions, found(root, environment, folder, *questions), answers, strict=True
    ):
        assert ids == answer, (question, root)


def assert_both_find(tomorrow, environment, folder, documents):
    """Both versions find what the labels hold; only tomorrow's knows the numbers."""
    assert_found(tomorrow, environment, folder, documents, [*QUESTIONS, *NUMBERS])
    assert_found(path.ROOT, environment, folder, documents, QUESTIONS)


def expected(documents):
    """The answers to `QUESTIONS` and `NUMBERS`."""

    def ids_of(matches):
        return [one["img_id"] for one in documents if matches(one)]

    def values(one):
        value = one.get("weather", [])
        return value if isinstance(value, list) else [value]

    def grip(one):
        return one["label"].get("grip", -1)

    return [
        ids_of(lambda one: "sunny" in values(one)),
        ids_of(lambda one: "weather" in one),
        ids_of(lambda one: "sunny" not in values(one)),
        ids_of(lambda one: any(value.startswith("r") for value in values(one))),
        ids_of(lambda one: one.get("sky", "").endswith("clouds")),
        ids_of(lambda one: grip(one) >= 9.5),
        ids_of(lambda one: grip(one) == 10),
        ids_of(lambda one: grip(one) == -1 or grip(one) >= 9.5),
        ids_of(lambda one: grip(one) != -1),
    ]


def drive_with(folder, first):
    """Three labels with the new fields, and one without."""
    made = [
        document(first, weather="sunny", sky="few clouds"),
        document(first + 1, weather="rain", sky="grey"),
        document(first + 2),
        document(first + 3),
    ]
    for one, grip in zip(made, (10, 9, 9.5), strict=False):
        one["label"]["grip"] = grip
    return save(folder, made), made


def old_documents():
    return list(json.loads((LAYOUTS[0] / "expected.json").read_text())["documents"].values())


def test_a_field_more_goes_on_with_yesterdays_database(tomorrow, database, tmp_path):
    held, questions = old_documents(), tmp_path / "questions"
    assert_found(tomorrow, database, questions, held, [*QUESTIONS, *NUMBERS])
    assert found(tomorrow, database, questions, WORDS) == [set()]
    # the old code takes the new fields for a team's own, the new one as declared
    for number, root in enumerate([path.ROOT, tomorrow, path.ROOT, tomorrow]):
        folder, made = drive_with(tmp_path / f"drive {number}", 1000 + 10 * number)
        counts, _ = run(root, "upload_data.py", database, folder)
        assert counts["created"] == len(made)
        held += made
        assert_both_find(tomorrow, database, questions, held)
    everything = {one["img_id"] for one in held}
    clouds = {one["img_id"] for one in held if "clouds" in one.get("sky", "")}
    assert found(tomorrow, database, questions, {}, WORDS) == [everything, clouds]
    assert found(path.ROOT, database, questions, {}) == [everything]
    counts, _ = run(tomorrow, "upload_data.py", database, "--update-index")
    assert counts == {"changes": []}


@pytest.fixture(params=["elasticsearch_8", "elasticsearch_9"])
def restricted(request, s3):
    """Yesterday's database of a team whose writer may not change mappings."""
    cluster = request.getfixturevalue(request.param)
    with team_of(cluster, s3, LAYOUTS[0]) as environment:
        name = environment["PATATE_ES_INDEX"]
        yield cluster, environment | cluster.environment(name, cluster.restricted)


@pytest.mark.servers
def test_a_writer_without_the_right_goes_on_until_an_administrator_adds_the_field(
    tomorrow, restricted, tmp_path
):
    cluster, environment = restricted
    name, questions = environment["PATATE_ES_INDEX"], tmp_path / "questions"
    held = old_documents()
    admin = environment | cluster.environment(name, cluster.admin)
    for number, root in enumerate([tomorrow, path.ROOT]):
        folder, made = drive_with(tmp_path / f"drive {number}", 1000 + 10 * number)
        counts, said = run(root, "upload_data.py", environment, folder)
        assert counts["created"] == len(made)
        assert f"PUT {name}/_mapping" in said
        assert "administrator" in said
        assert ("weather" in said) == (root == tomorrow)
        held += made
    assert_both_find(tomorrow, environment, questions, held)
    # the words of a sentence need the index: no answer is better than half of one
    question = ("-q", json.dumps(WORDS), "-p", questions, "--no-download")
    _, said = run(tomorrow, "search_and_download.py", environment, *question, code=1)
    assert "sky" in said
    assert f"PUT {name}/_mapping" in said

    _, said = run(tomorrow, "upload_data.py", environment, "--update-index", code=1)
    assert f"PUT {name}/_mapping" in said
    counts, _ = run(tomorrow, "upload_data.py", environment, "--update-index", "--dry-run")
    [request] = counts["changes"]
    assert "weather" not in properties_of(cluster, name)
    method, where, body = request.split(" ", 2)
    assert cluster.ask(method, f"/{where}", json.loads(body))[0] == 200
    assert properties_of(cluster, name)["weather"]["type"] == "keyword"
    # labels from before are not in the new fields yet, and found
    assert_both_find(tomorrow, environment, questions, held)
    before = count_unindexed(cluster, name)
    assert before > 0
    for options, left in (["--dry-run"], before), ([], 0):
        counts, _ = run(tomorrow, "upload_data.py", admin, "--update-index", *options)
        assert counts == {"changes": []}
        assert count_unindexed(cluster, name) == left
    assert_both_find(tomorrow, environment, questions, held)
    everything = {one["img_id"] for one in held}
    clouds = {one["img_id"] for one in held if "clouds" in one.get("sky", "")}
    assert found(tomorrow, environment, questions, {}, WORDS) == [everything, clouds]


@pytest.mark.servers
def test_drives_are_told_apart_in_an_index_without_their_ids(restricted, tmp_path):
    _, environment = restricted
    sessions = [f"20240501T12-00-00-000000-000{number}" for number in range(2)]
    labels = [document(1000 + number, session_id=sessions[number % 2]) for number in range(6)]
    run(path.ROOT, "upload_data.py", environment, save(tmp_path / "drive", labels))
    counts, _ = run(path.ROOT, "show_database.py", environment)
    pictures = {drive["session_id"]: drive["pictures"] for drive in counts["drives"]}
    assert [pictures.get(session) for session in sessions] == [3, 3]


def count_unindexed(cluster, name):
    """Count the labels whose grip is indexed as a custom term only."""
    cluster.ask("POST", f"/{name}/_refresh")
    only_terms = {
        "bool": {
            "filter": [{"term": {"_own": "label.grip"}}],
            "must_not": [{"exists": {"field": "label.grip"}}],
        }
    }
    return cluster.ask("POST", f"/{name}/_count", {"query": only_terms})[1]["count"]


def properties_of(cluster, name):
    return cluster.ask("GET", f"/{name}/_mapping")[1][name]["mappings"]["properties"]


@pytest.mark.servers
def test_a_field_of_another_type_is_refused_by_name(tomorrow, elasticsearch_8, s3, tmp_path):
    with team_of(elasticsearch_8, s3, LAYOUTS[0]) as environment:
        name = environment["PATATE_ES_INDEX"]
        other = {"properties": {"label": {"properties": {"grip": {"type": "keyword"}}}}}
        assert elasticsearch_8.ask("PUT", f"/{name}/_mapping", other)[0] == 200
        folder, _ = drive_with(tmp_path / "drive", 1000)
        for script, arguments in [
            ("upload_data.py", [folder]),
            ("upload_data.py", ["--update-index"]),
            ("search_and_download.py", ["-p", tmp_path / "set"]),
        ]:
            _, said = run(tomorrow, script, environment, *arguments, code=1)
            assert "label.grip" in said
        assert "weather" not in properties_of(elasticsearch_8, name)
        counts, _ = run(path.ROOT, "upload_data.py", environment, folder)
        assert counts["created"] == 4
