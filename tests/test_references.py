"""References in the code and links between pages lead to a page and a heading that are there."""

import ast
import re

import pytest

import path

PAGES = [
    file
    for pattern in ("*.md", "docs/*.md", "get_data/**/*.md", "tests/*/*.md")
    for file in path.ROOT.glob(pattern)
]
CODE = [
    path.ROOT / "path.py",
    *(file for folder in ("common", "car", "get_data") for file in (path.ROOT / folder).rglob("*")),
]
REFERENCE = re.compile(r"\b(README(?:\.md)?|[A-Z]{4,}\.md|docs/\w+\.md)`?(?:, \"(.+?)\")?")


def headings_of(page):
    return re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)


def anchor_of(heading):
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def texts_of(file):
    """Yield the strings of a Python file, joined as the compiler joins them, and its comments."""
    source = file.read_text()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield " ".join(node.value.split())
    yield from re.findall(r"#.*", source)


def references():
    """Yield file, page and heading ("" for none) of each reference in the code."""
    for file in CODE:
        if file.suffix in (".py", ".js", ".html"):
            texts = texts_of(file) if file.suffix == ".py" else [file.read_text()]
            for text in texts:
                for page, heading in REFERENCE.findall(text):
                    yield file.relative_to(path.ROOT), page.removesuffix(".md"), heading


def test_every_page_and_heading_that_the_code_names_exists():
    named = set(references())
    assert len(named) > 10
    pages = {str(file.relative_to(path.ROOT)).removesuffix(".md"): file for file in PAGES}
    wrong = [
        (str(file), page, heading)
        for file, page, heading in named
        if page not in pages or (heading and heading not in headings_of(pages[page]))
    ]
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(path.ROOT)))
def test_every_link_leads_to_a_file_and_a_heading(page):
    wrong = []
    for name, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", page.read_text()):
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (
            anchor and anchor not in [anchor_of(heading) for heading in headings_of(target)]
        ):
            wrong.append((name, anchor))
    assert wrong == []
