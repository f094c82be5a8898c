"""The committed reference pages are what the code says."""

import pytest

from paperpath.config.fields import fields_of
from paperpath.config.reference import render
from paperpath.config.schema import Config
from tools.docs import PAGES, ROOT, all_events, main, render_events


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_current(page: str) -> None:
    assert (ROOT / page).read_text("utf-8") == PAGES[page](), "run `make docs`"


def test_check_agrees() -> None:
    assert main(["--check"]) == 0


def test_every_setting_and_event_is_on_its_page() -> None:
    page = render()
    for field in fields_of(Config):
        for one in fields_of(field.section) if field.section else ():
            head = f"### {one.name}\n" if one.section is None else f"## [[{field.name}.{one.name}]]\n"
            assert head in page
    assert '`"50MiB"` (what large providers take' in page
    events = render_events()
    assert all(f"\n## {event.name}\n" in events for event in all_events())
    assert len(all_events()) > 15
