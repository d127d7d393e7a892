"""Made-up JSON: values that nobody thought of, and changes to content that was right."""

import copy
import json

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st


def examples(most: int, *, shrink: bool = True) -> settings:
    """So many made-up inputs, the same ones in every run; slow ones are not made smaller."""
    return settings(
        max_examples=most,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NASTY = st.sampled_from(
    [
        "",
        ".",
        "..",
        "../x.jpg",
        "/etc/passwd",
        "a\0b",
        "a\nb",
        "true",
        "null",
        "x" * 300,
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59.999999-12:00",
        "2024-02-30",
        "99991231T23-59-59-999999",
        "\u202e\ufeff\U0001f697",
        "$.label - at `x`",
        "*",
        "(a|b)+",
    ]
)
NUMBERS = st.one_of(
    st.integers(-3, 101),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 1e308, -0.0]),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS, NASTY)
ANYTHING = st.recursive(
    SCALARS,
    lambda inside: st.one_of(
        st.lists(inside, max_size=3), st.dictionaries(st.one_of(TEXTS, NASTY), inside, max_size=3)
    ),
    max_leaves=6,
)


def places(node: object, where: tuple = ()) -> list[tuple]:
    """The ways to every value inside."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    found = [where]
    for key, value in items:
        found += places(value, (*where, key)) if isinstance(value, dict | list) else [(*where, key)]
    return found


@st.composite
def mutated(draw, start: dict) -> object:
    """The JSON of `start` after a few changes: values replaced, keys removed, added, renamed."""
    content = copy.deepcopy(start)
    for _ in range(draw(st.integers(1, 3))):
        if not isinstance(content, dict | list):
            break
        where = draw(st.sampled_from(places(content)))
        if not where:
            if draw(st.integers(0, 9)) == 0:
                content = draw(ANYTHING)
            elif isinstance(content, dict):
                content[draw(st.one_of(TEXTS, NASTY))] = draw(ANYTHING)
            continue
        *inside, key = where
        node = content
        for step in inside:
            node = node[step]
        what = draw(st.sampled_from(["replace", "remove", "add", "rename"]))
        if what == "replace" or isinstance(node, list):
            node[key] = draw(ANYTHING)
        elif what == "add":
            node[draw(st.one_of(TEXTS, NASTY))] = draw(ANYTHING)
        else:
            value = node.pop(key)
            if what == "rename":
                node[draw(st.one_of(TEXTS, NASTY))] = value
    return content


@st.composite
def torn(draw, content: object) -> bytes:
    """The JSON as a file; now and then cut off, with a bit turned, or something put in."""
    raw = bytearray(json.dumps(content, ensure_ascii=draw(st.booleans())).encode())
    match draw(st.sampled_from(["whole"] * 7 + ["cut", "turned", "put in"])):
        case "cut":
            del raw[draw(st.integers(0, len(raw))) :]
        case "turned":
            raw[draw(st.integers(0, len(raw) - 1))] ^= 1 << draw(st.integers(0, 7))
        case "put in":
            at = draw(st.integers(0, len(raw)))
            raw[at:at] = draw(st.binary(min_size=1, max_size=4))
    return bytes(raw)
