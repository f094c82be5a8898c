"""The pages agree with the repository: links, the tree, the import table, and everything they cite."""

import re
from pathlib import Path

import pytest

from paperpath.config.fields import fields_of
from paperpath.config.schema import Config
from tests.docs.pages import ROOT, anchors, blocks, links, pages, read, rows, section
from tools.check_imports import ALLOWED, LAYERS
from tools.docs import all_events

SOURCE = ROOT / "src" / "paperpath"
BACKTICKED = re.compile(r"`([^`\n]+)`")


NOT_EVENTS = {"message.trace", "guard.control"}
"""A column of the store."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", pages(), ids=name_of)


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page.read_text("utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        assert not anchor or anchor in anchors(found.read_text("utf-8")), target


@every_page
def test_lines_are_short(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    generated = "is generated from" in text or "Made by `make bench`" in text
    prose = [line for line in text.splitlines() if not line.startswith("|")]
    assert generated or "tests" in page.parts or not [line for line in prose if len(line) > 120]


def test_index_names_every_page() -> None:
    index = {(ROOT / "docs" / target).resolve() for target in links(read("docs/README.md"))}
    assert set((ROOT / "docs").glob("*/*.md")) <= index


def test_tree() -> None:
    (block,) = blocks(section(read("ARCHITECTURE.md"), "## The tree"), "")
    inner = {line.split("/")[0].strip() for line in block.text.splitlines() if line.startswith("  ")}
    outer = {line.split("/")[0] for line in block.text.splitlines() if not line.startswith("  ")}
    assert all(re.fullmatch(r" *[\w./]+/( +\S.*)?", line) for line in block.text.splitlines())
    assert inner == {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert outer == {"src", ".ci"} | {path.name for path in ROOT.iterdir() if _holds_text(path)} - {"src"}


def _holds_text(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and path.name not in {"build", "dist", "htmlcov"}


def test_import_table() -> None:
    shown: dict[str, set[str]] = {}
    for folders, may in rows(section(read("ARCHITECTURE.md"), "## Layers")):
        allowed = set(BACKTICKED.findall(may)) | (set(LAYERS) if may.startswith("all layers above") else set())
        shown |= dict.fromkeys(BACKTICKED.findall(folders), allowed)
    there = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert shown == {folder: set(ALLOWED[folder]) for folder in there}


@every_page
def test_what_is_cited_exists(page: Path) -> None:
    for cited in BACKTICKED.findall(page.read_text("utf-8")):
        path, _, test = cited.partition("::")
        if re.fullmatch(r"[\w./-]+/[\w.-]+\.(py|md|service|socket|sh)", path) and not path.startswith("/"):
            found = [base / path for base in (ROOT, SOURCE, page.parent) if (base / path).exists()]
            assert found or page.parent.name == "tests", cited
            assert not test or f"def {test}(" in found[0].read_text("utf-8"), cited


@every_page
def test_names_in_brackets_are_in_the_file_cited(page: Path) -> None:
    for path, names in re.findall(r"`([\w/]+\.py)` \(((?:`\w+`(?:, )?)+)\)", page.read_text("utf-8")):
        file = next(base / path for base in (SOURCE, ROOT) if (base / path).exists())
        for name in BACKTICKED.findall(names):
            assert name in file.read_text("utf-8"), f"{path}: {name}"


@every_page
def test_events_are_declared(page: Path) -> None:
    declared = {event.name for event in all_events()}
    spoken = {name.partition(".")[0] for name in declared} - {"queue"}
    for cited in BACKTICKED.findall(page.read_text("utf-8")):
        if (found := re.match(r"([a-z]+)\.([a-z-]+)(?= |$)", cited)) and found[1] in spoken:
            assert found[0] in declared | NOT_EVENTS, cited


@every_page
def test_settings_exist(page: Path) -> None:
    sections = {field.name: field.section for field in fields_of(Config) if field.section is not None}
    for part, name in re.findall(r"`\[\[?(\w+)\]\]? (\w+)", page.read_text("utf-8")):
        assert part in sections and name in {field.name for field in fields_of(sections[part])}, f"[{part}] {name}"


def test_glossary_is_in_order() -> None:
    words = [cells[0] for cells in rows(read("docs/reference/glossary.md"))]
    assert words == sorted(words, key=str.lower)
