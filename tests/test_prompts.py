"""Answers at a prompt: whatever is typed in whatever locale, or nobody there any more."""

import io
import os
import pty
import sys

import pytest

from get_data import run_manual, upload_data, upload_to_db
from get_data.labels import label_file, session
from tests.conftest import document

LOCALES = {  # how Python reads a terminal there
    "en_US.UTF-8": ("utf-8", "strict"),
    "C.UTF-8": ("utf-8", "surrogateescape"),
    "C without coercion": ("ascii", "surrogateescape"),
    "ASCII": ("ascii", "strict"),
    "Latin-1": ("latin-1", "strict"),
}
DRIVE = ["--simulate", "--duration", "0.1"]


@pytest.fixture
def typed(monkeypatch):
    """Puts a person before a terminal who types bytes; None when the terminal is closed."""
    open_files = []

    def type_in(content, encoding="utf-8", errors="strict"):
        master, slave = pty.openpty()
        stdin = io.TextIOWrapper(os.fdopen(slave, "rb"), encoding, errors)
        open_files.append(stdin)
        if content is None:
            os.close(master)
        else:
            os.write(master, content)
            open_files.append(os.fdopen(master, "wb"))
        monkeypatch.setattr(sys, "stdin", stdin)
        if content is None:  # a terminal that is gone no longer says that it was one
            monkeypatch.setattr(stdin, "isatty", lambda: True, raising=False)

    yield type_in
    for file in open_files:
        file.close()


@pytest.fixture
def to_delete(call, drive):
    """A drive of which a label is to be deleted, so that the script asks."""
    call(upload_data, drive)
    labels = label_file.read(drive / label_file.NAME)
    labels[document(0)["img_id"]]["to_delete"] = True
    label_file.write(drive / label_file.NAME, labels)
    return drive


@pytest.mark.parametrize(("encoding", "errors"), LOCALES.values(), ids=LOCALES)
@pytest.mark.parametrize("content", [b"\xe9\n", b"y\xff\n", b"\xc3\n", b"\xed\xa0\x80\n", b"\x04"])
def test_what_is_no_yes_in_any_locale_is_a_no(call, typed, to_delete, content, encoding, errors):
    typed(content, encoding, errors)
    code, counts, err = call(upload_to_db, to_delete)
    assert (code, counts) == (1, None)
    assert err.count("error: ") == 1


@pytest.mark.parametrize(("encoding", "errors"), LOCALES.values(), ids=LOCALES)
def test_a_yes_is_one_in_any_locale(call, typed, to_delete, encoding, errors):
    typed(b"y\n", encoding, errors)
    assert call(upload_to_db, to_delete)[0] == 0


@pytest.mark.parametrize("name", ["en_US.UTF-8", "C.UTF-8", "C without coercion", "ASCII"])
@pytest.mark.parametrize("first", [b"", b"school\n"], ids=["first answer", "second answer"])
def test_an_answer_that_is_no_text_is_one_line(call, typed, tmp_path, name, first):
    typed(first + b"caf\xe9\n" + b"\n" * 5, *LOCALES[name])
    code, counts, err = call(run_manual, "-o", tmp_path / "new", *DRIVE)
    assert (code, counts) == (2, None)
    assert err.count("error: ") == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_an_accent_is_kept_in_the_terminals_own_encoding(call, typed, tmp_path):
    typed(b"caf\xe9\n" + b"\n" * 5, *LOCALES["Latin-1"])
    assert call(run_manual, "-o", tmp_path / "new", *DRIVE)[0] == 0
    assert session.read(tmp_path / "new" / session.NAME)["event"] == "caf\u00e9"


@pytest.mark.parametrize("content", [b"\x04", b"school\n\x04", None], ids=ascii)
def test_nobody_who_answers_is_a_no(call, typed, tmp_path, content):
    typed(content)
    code, counts, err = call(run_manual, "-o", tmp_path / "new", *DRIVE)
    assert (code, counts) == (1, None)
    assert err.count("error: ") == 1
    assert not (tmp_path / "new").exists()
