"""The text check. The words it looks for are put together here, because it reads this file as well."""

import pytest

from tools.check_text import findings


@pytest.mark.parametrize(
    "line",
    [
        "https://" + "pypi" + ".org/simple",
        "files." + "pythonhosted" + ".org",
        "deb http://" + "DEB.debian" + ".org/debian bookworm main",
        "FROM ghcr" + ".io/somebody/something",
        "see /" + "work/main/src",
        "HOME=/" + "root/x",
        "# TO" + "DO: later",
        "# FIX" + "ME",
        "# X" + "XX is this right?",
    ],
)
def test_what_must_not_be_there_is_found(line: str) -> None:
    assert len(list(findings("a.py", b"first\n" + line.encode() + b"\n"))) == 1


@pytest.mark.parametrize(
    "line",
    [
        "www.debian.org/doc is a page, not a registry",
        "the todo of qmail is a folder",
        "mktemp XXXXXX",
        "a relative src/work/plan",
        "/srv/mail/root/x",
        "/rooted/x",
        "crates.iota.example",
    ],
)
def test_what_looks_alike_is_left_alone(line: str) -> None:
    assert list(findings("a.py", line.encode())) == []


def test_a_finding_names_file_line_and_remedy() -> None:
    (line,) = findings("docs/a.md", b"one\ntwo TO" + b"DO\n")
    assert line == "docs/a.md:2: note of work left undone (TO" + "DO): finish it, or open an issue"
