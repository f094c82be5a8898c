"""What an event is.  Every event that the log can contain is declared once, in `telemetry.events`.

A declaration is a frozen struct: its fields are the line's fields, units in their names (``size_bytes``,
``duration_s``); the class carries the event's name, its level, what it means and what the operator should do.
"""

from typing import ClassVar, Literal

import msgspec

Level = Literal["debug", "info", "notice", "warning", "alert"]


class Event(msgspec.Struct, frozen=True, gc=False, omit_defaults=False):
    """Base of all events.  A field that is None is left out of the line."""

    name: ClassVar[str] = ""
    level: ClassVar[Level] = "info"
    advice: ClassVar[str] = ""
    """What the operator should do; empty where there is nothing to do."""
