"""What people and programs see: aligned tables, ages, sizes, JSON."""

import json
import sys
from collections.abc import Sequence

import click

_AGES = (("d", 86400), ("h", 3600), ("m", 60))
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")


def age(seconds: float) -> str:
    """Return ``45s``, ``3m``, ``5h``, ``12d``: the largest unit, rounded down."""
    whole = max(0, int(seconds))
    for unit, length in _AGES:
        if whole >= length:
            return f"{whole // length}{unit}"
    return f"{whole}s"


def size(count_bytes: int) -> str:
    """Return ``812 B``, ``4.1 KiB``, ``12 MiB``: units of 1024, two digits where there is a fraction."""
    value = float(count_bytes)
    for unit in _SIZES:
        if value < 999.5 or unit == _SIZES[-1]:
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" or value >= 9.95 else f"{value:.1f} {unit}"


def count(number: int, noun: str) -> str:
    """Return ``1 message``, ``1,204 messages``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def say(text: str = "") -> None:
    """Print a line for people."""
    click.echo(text)


def note(text: str) -> None:
    """Print a line beside the output, to standard error."""
    click.echo(text, err=True)


def print_json(value: object) -> None:
    """Print one JSON value for programs; indented where a person looks."""
    click.echo(json.dumps(value, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))


def somebody_is_there() -> bool:
    """Tell whether a person can be asked."""
    return sys.stdin.isatty()


def strong(text: str) -> str:
    """Return the text in bold; `click.echo` leaves that out where no terminal is."""
    return click.style(text, bold=True)


def good(text: str) -> str:
    """Return the text in green."""
    return click.style(text, fg="green")


def bad(text: str) -> str:
    """Return the text in red."""
    return click.style(text, fg="red")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print rows in aligned columns; ``right`` names the columns of numbers, set to the right."""
    if sys.stdout.isatty():
        _terminal_table(headers, rows, right)
        return
    lines = [headers, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    for line in lines:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        click.echo("  ".join(cells).rstrip())


def _terminal_table(headers: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    """The same on a terminal, whose width rich knows how to keep to."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for column, header in enumerate(headers):
        shown.add_column(header, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        # Text, so that brackets in an address are not taken for markup.
        shown.add_row(*(Text(cell) for cell in row))
    Console(highlight=False).print(shown)
