"""`docs/reference/configuration.md`, rendered from the schema: what the reader takes is what the page says."""

from collections.abc import Iterator
from typing import Any

from paperpath.config.fields import Field, expected, fields_of, show_value
from paperpath.config.schema import Config
from paperpath.config.section import Section

_INTRODUCTION = """\
# Configuration

One TOML file holds every setting: `--config FILE`, else `PAPERPATH_CONFIG`, else `/etc/paperpath/paperpath.toml`.
`paperpath init` writes one to begin with, and `paperpath check-config` names every problem of one, with its line.
What is not written has its default; an unknown key is an error. HUP makes a running server read the file again;
where that fails, the former settings hold.

Durations are written `"90s"`, `"5m"`, `"12h"`, `"7d"`, `"2w"`, sizes `"512KiB"`, `"50MiB"`, `"2GiB"`; a plain number
means seconds or bytes. Domains may be written in any case and in any script; they are compared in lower case and
as ASCII (IDNA 2008). Relative paths are relative to the folder of the file as its path was given: where that is a
symbolic link, to the folder of the link, so give every program the same path, or write absolute ones.

This page is generated from `src/paperpath/config/schema.py` by `make docs`.
"""


def render() -> str:
    """Return the page."""
    fields = fields_of(Config)
    top = [field for field in fields if field.section is None and field.kind != "table"]
    parts = [_INTRODUCTION, "\n## Top of the file\n", *_settings(top)]
    for field in fields:
        if field.section is not None:
            parts += _section(field, field.section)
        elif field.kind == "table":
            parts += [f"\n## [{field.name}]\n", f"\n{_sentence(field.about)}\n", f"\nDefault: {_default(field)}.\n"]
    return "".join(parts)


def _section(field: Field, section: type[Section], outer: str = "") -> Iterator[str]:
    name = outer + field.name
    yield f"\n## [[{name}]]\n" if field.kind == "sections" else f"\n## [{name}]\n"
    yield f"\n{_sentence(field.about or section.__doc__ or '')}"
    yield " May stand any number of times.\n" if field.kind == "sections" else "\n"
    inner = fields_of(section)
    yield from _settings([one for one in inner if one.section is None])
    for one in inner:
        if one.section is not None:
            yield from _section(one, one.section, f"{name}.")


def _settings(fields: list[Field]) -> Iterator[str]:
    for field in fields:
        yield f"\n### {field.name}\n\n{_sentence(field.about)}\n\n"
        yield f"- Value: {_markdown(expected(field))}\n"
        yield f"- Default: {_default(field)}\n"


def _default(field: Field) -> str:
    if field.required:
        return "none, it must be written"
    reason = f" ({_markdown(field.reason)})" if field.reason else ""
    return _shown(field, field.default) + reason


def _shown(field: Field, value: Any) -> str:
    if not value and field.kind in {"texts", "table", "text", "sections"}:
        return "empty"
    text = show_value(field, value)
    return f'`"{text}"`' if field.kind in {"text", "choice", "duration", "size"} else f"`{text}`"


def _sentence(text: str) -> str:
    return _markdown(text).rstrip()


def _markdown(text: str) -> str:
    return text.replace("``", "`")
