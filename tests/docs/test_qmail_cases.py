"""Every case of the list is shown by something that is there."""

import re

import pytest

from tests.docs.pages import ROOT, read

LINE = re.compile(r"(\d+) (differs )?(.+)")


def cases() -> dict[int, tuple[bool, list[str]]]:
    found: dict[int, tuple[bool, list[str]]] = {}
    for line in read("tests/qmail_cases.txt").splitlines():
        if line and not line.startswith("#"):
            match = LINE.fullmatch(line)
            assert match, line
            number, differs, references = int(match[1]), bool(match[2]), match[3].split(" | ")
            assert number not in found, f"case {number} stands twice"
            found[number] = differs, references
    return found


CASES = cases()


def test_all_are_there() -> None:
    assert list(CASES) == list(range(1, 91))


@pytest.mark.parametrize("number", CASES)
def test_what_shows_it_is_there(number: int) -> None:
    for reference in CASES[number][1]:
        file, function, name = reference.partition("::")
        path, story, title = reference.partition(" === ")
        if function:
            assert re.search(rf"^ *(async )?def {name}\(", read(file), re.MULTILINE), reference
        elif story:
            assert f"\n=== {title}\n" in read(path), reference
        else:
            assert list(ROOT.glob(reference)), reference


@pytest.mark.parametrize("number", [number for number, (differs, _) in CASES.items() if differs])
def test_a_difference_has_its_reason(number: int) -> None:
    pages = read("docs/reference/differences.md") + read("docs/explanation/qmail-differences.md")
    assert re.search(rf"\(case {number}\)", pages), f"case {number} differs, and no page says why"
