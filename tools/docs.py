"""Write the generated reference pages, or compare them: `python -m tools.docs [--check]`.

The pages are committed, so that they can be read and reviewed without running anything.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from paperpath.config import reference
from paperpath.telemetry import events
from paperpath.telemetry.event import Event

ROOT: Final = Path(__file__).resolve().parent.parent

_EVENTS_INTRODUCTION: Final = """\
# Events

Every line of the log is one of these events. A line begins with time, level, name and the process that speaks; the
fields follow as `name=value`, or as one JSON object a line with `[log] format = "json"`. Units are in the names:
`_s` is seconds, `_bytes` is bytes. A field marked with a question mark is left out where there is nothing to say.

This page is generated from `src/paperpath/telemetry/events.py` by `make docs`.

| Event | Level | What it means |
|---|---|---|
"""


def all_events() -> list[type[Event]]:
    """Return every declared event, in the order of the file."""
    found = [one for one in vars(events).values() if isinstance(one, type) and issubclass(one, Event) and one.name]
    return list(dict.fromkeys(found))


def render_events() -> str:
    """Return docs/reference/events.md."""
    declared = all_events()
    table = "".join(f"| [`{one.name}`](#{_anchor(one.name)}) | {one.level} | {_first(one)} |\n" for one in declared)
    return _EVENTS_INTRODUCTION + table + "".join("".join(_event(one)) for one in declared)


def _event(event: type[Event]) -> Iterator[str]:
    yield f"\n## {event.name}\n\nLevel {event.level}. {_first(event)}\n"
    if event.advice:
        yield f"\n**What to do:** {event.advice}\n"
    fields = ", ".join(f"`{name}`{_mark(event, name)}" for name in event.__struct_fields__)
    yield f"\nFields: {fields}.\n" if fields else "\nNo fields.\n"


def _mark(event: type[Event], name: str) -> str:
    return "?" if "None" in str(event.__annotations__.get(name, "")) else ""


def _first(event: type[Event]) -> str:
    return " ".join((event.__doc__ or "").split("\n\n")[0].split()).replace("``", "`")


def _anchor(name: str) -> str:
    """Return the heading's anchor as Markdown renderers make it."""
    return name.replace(".", "")


PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "docs/reference/configuration.md": reference.render,
    "docs/reference/events.md": render_events,
}


def main(arguments: list[str]) -> int:
    """Write the pages; with --check change nothing and return 1 where one differs."""
    stale = []
    for name, render in PAGES.items():
        page, text = ROOT / name, render()
        if page.is_file() and page.read_text("utf-8") == text:
            continue
        stale.append(name)
        if "--check" not in arguments:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, "utf-8")
    for name in stale:
        print(f"{name}: {'is not what the code says; run make docs' if '--check' in arguments else 'written'}")
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
