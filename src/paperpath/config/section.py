"""What the schema's sections are made of: their base, the kinds of values, and what is said about a setting."""

from typing import Annotated

import msgspec
from msgspec import Meta


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all sections."""


def about(text: str, *, unit: str = "", reason: str = "") -> Meta:
    """Return what is said of a setting: its text for the page, its unit, and the reason for its default."""
    return Meta(description=text, extra={"unit": unit, "reason": reason})


Text = Annotated[str, Meta(min_length=1)]

Duration = Annotated[int, Meta(extra={"kind": "duration"})]
"""Seconds; written ``"90s"``, ``"5m"``, ``"12h"``, ``"7d"`` or as a plain number."""

Size = Annotated[int, Meta(extra={"kind": "size"})]
"""Bytes; written ``"512KiB"``, ``"50MiB"``, ``"2GiB"`` or as a plain number."""
