"""The schema's settings one by one, as reader and reference page need them: kind, bounds, default, text."""

import re
import types
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from paperpath.config.section import Section

_DURATION = re.compile(r"([0-9]{1,9})([smhdw]?)")
_SIZE = re.compile(r"([0-9]{1,15}) ?(B|KiB|MiB|GiB|)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_BYTES = {"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One setting, or one section where ``section`` is set."""

    name: str
    hint: Any
    """Its type with annotations, for msgspec."""
    kind: str
    """``number``, ``duration``, ``size``, ``text``, ``choice``, ``texts`` (a list), ``table`` (names to
    text), ``section`` or ``sections`` (a list of tables)."""
    section: type[Section] | None
    choices: tuple[str, ...]
    least: int | None
    most: int | None
    about: str
    unit: str
    reason: str
    required: bool
    default: Any
    """None where it is required."""


@cache
def fields_of(section: type[Section]) -> tuple[Field, ...]:
    """Return the settings of a section in the order of the schema."""
    hints = get_type_hints(section, include_extras=True)
    return tuple(_field(info, hints[info.name]) for info in msgspec.structs.fields(section))


def _field(info: msgspec.structs.FieldInfo, hint: Any) -> Field:
    metas = [meta for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, msgspec.Meta)]
    bare = get_args(hint)[0] if metas else hint
    extra: dict[str, Any] = {}
    for meta in metas:
        extra |= meta.extra or {}
    section = _section_of(bare)
    return Field(
        name=info.name,
        hint=hint,
        kind=extra.get("kind") or _kind(bare),
        section=section,
        choices=get_args(bare) if get_origin(bare) is Literal else (),
        least=_bound(metas, "ge"),
        most=_bound(metas, "le"),
        about=next((meta.description for meta in metas if meta.description), ""),
        unit=extra.get("unit", ""),
        reason=extra.get("reason", ""),
        required=info.required,
        default=_default(info),
    )


def _bound(metas: list[msgspec.Meta], name: str) -> int | None:
    values = [getattr(meta, name) for meta in metas if getattr(meta, name) is not None]
    return int(values[0]) if values else None


def _default(info: msgspec.structs.FieldInfo) -> Any:
    if info.default is not msgspec.NODEFAULT:
        return info.default
    return None if info.required else info.default_factory()


def _section_of(bare: Any) -> type[Section] | None:
    candidate = get_args(bare)[0] if get_origin(bare) is tuple else bare
    return candidate if isinstance(candidate, type) and issubclass(candidate, Section) else None


def _kind(bare: Any) -> str:
    if _section_of(bare) is not None:
        return "sections" if get_origin(bare) is tuple else "section"
    if get_origin(bare) is Literal:
        return "choice"
    return {int: "number", str: "text", tuple: "texts", dict: "table"}[get_origin(bare) or bare]


def expected(field: Field) -> str:
    """Return in words what may stand in the file: ``a whole number from 1 to 64``."""
    if field.kind == "choice":
        return " or ".join(f'"{choice}"' for choice in field.choices)
    words = {
        "number": "a whole number",
        "duration": 'a duration such as "90s", "5m", "12h" or "7d"',
        "size": 'a size such as "512KiB" or "50MiB"',
        "text": "text in quotes",
        "texts": 'a list of texts such as ["…", "…"]',
        "table": 'a table of names and texts such as "example.org" = "…"',
        "section": f"a table headed [{field.name}]",
        "sections": f"tables headed [[{field.name}]]",
    }[field.kind]
    return words + _range(field)


def _range(field: Field) -> str:
    least = None if field.least is None else show_value(field, field.least)
    most = None if field.most is None else show_value(field, field.most)
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if least is not None and field.least:
        return f" of at least {least}"
    return "" if most is None else f" of at most {most}"


def decode(field: Field, value: Any) -> Any:
    """Return the value of one setting (not of a section) from what stood in the file.

    Raises ValueError where it cannot be that; `expected` says what could.
    """
    if isinstance(value, str):
        if field.kind == "duration":
            value = _scaled(_DURATION, _SECONDS, value)
        elif field.kind == "size":
            value = _scaled(_SIZE, _BYTES, value)
    if field.kind == "text" and isinstance(value, str) and "\x00" in value:
        raise ValueError("holds a NUL")
    return msgspec.convert(value, field.hint)


def parse_duration(text: str) -> int:
    """Return seconds.  Raises ValueError."""
    return _scaled(_DURATION, _SECONDS, text)


def parse_size(text: str) -> int:
    """Return the bytes that a size such as ``500MiB`` means.  Raises ValueError."""
    return _scaled(_SIZE, _BYTES, text)


def _scaled(grammar: re.Pattern[str], factors: dict[str, int], text: str) -> int:
    match = grammar.fullmatch(text)
    if match is None:
        raise ValueError("not understood")
    return int(match[1]) * factors[match[2]]


def show_value(field: Field, value: Any) -> str:
    """Return a value as it is written in the file, without the quotes of a plain text."""
    if field.kind == "duration":
        return _in_units(value, (("d", 86400), ("h", 3600), ("m", 60)), "s")  # a week is said in days: "7d"
    if field.kind == "size":
        return _in_units(value, (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)), "")
    if isinstance(value, tuple | types.MappingProxyType | dict):
        return msgspec.json.encode(value).decode()
    return str(value)


def _in_units(value: int, units: tuple[tuple[str, int], ...], smallest: str) -> str:
    for name, factor in units:
        if value and value % factor == 0:
            return f"{value // factor}{name}"
    return f"{value}{smallest}"
