"""What the tests of the documentation share: the pages, their links, their blocks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parent.parent.parent

_BLOCK: Final = re.compile(r"^```([a-z]*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_SHELVES: Final = ("*.md", "docs/**/*.md", "tests/**/*.md", "tools/*.md", "packaging/**/*.md", "bench/*.md")


class Block(NamedTuple):
    """A fenced block."""

    kind: str
    """The word behind the fence."""
    text: str


def pages() -> list[Path]:
    """Return every page of the repository."""
    return sorted(page for shelf in _SHELVES for page in ROOT.glob(shelf))


def read(name: str) -> str:
    """Return a page by its name in the repository."""
    return (ROOT / name).read_text("utf-8")


def blocks(text: str, *kinds: str) -> Iterator[Block]:
    """Yield the fenced blocks of these kinds, in order."""
    for found in _BLOCK.finditer(text):
        if found[1] in kinds:
            yield Block(found[1], found[2])


def links(text: str) -> list[str]:
    """Return the targets of all links outside of blocks."""
    return _LINK.findall(_BLOCK.sub("", text))


def anchors(text: str) -> set[str]:
    """Return the anchors that a page's headings have, as Markdown renderers make them."""
    return {_anchor(heading) for heading in _HEADING.findall(_BLOCK.sub("", text))}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def section(text: str, heading: str) -> str:
    """Return what stands below a heading, up to the next one of the same depth or above."""
    depth = len(heading) - len(heading.lstrip("#"))
    _, found, rest = text.partition(f"\n{heading}\n")
    assert found, f"no heading {heading!r}"
    end = re.search(rf"^#{{1,{depth}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def rows(text: str) -> list[list[str]]:
    """Return the cells of every table row, without heads and rulers."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    found = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    heads = {at - 1 for at, cells in enumerate(found) if set("".join(cells)) <= set("-: ")}
    return [cells for at, cells in enumerate(found) if at not in heads and at - 1 not in heads]
