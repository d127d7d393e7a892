"""The ordering rules of docs/architecture.md are those that the code cites."""

import re

import path

ARCHITECTURE = (path.ROOT / "docs" / "architecture.md").read_text()
SOURCES = [file.read_text() for file in (path.ROOT / "get_data").rglob("*.py")]


def test_every_rule_of_the_database_is_cited_where_it_is_kept():
    """Bold ones, that is; the others wait for their code."""
    rules = re.findall(r"^- (\*\*)?(D\d+)\b", ARCHITECTURE, re.MULTILINE)
    cited = {rule for source in SOURCES for rule in re.findall(r"# (D\d+)\b", source)}
    assert [rule for _, rule in rules] == [f"D{number}" for number in range(1, len(rules) + 1)]
    assert cited == {rule for bold, rule in rules if bold}
