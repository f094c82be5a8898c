"""Where an account's password comes from: typed, piped in, or made here and shown once."""

import secrets
import sys
from collections.abc import Callable
from typing import TypeVar

import click

from paperpath.cli.faults import Fault
from paperpath.cli.show import somebody_is_there

F = TypeVar("F", bound=Callable[..., object])

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 5
"""Twenty of 31 letters that look like nothing else: 99 bits."""


def password_options(function: F) -> F:
    """Add ``--password`` and ``--ask``."""
    function = click.option("--ask", is_flag=True, help="Ask for the password on the terminal.")(function)
    return click.option(
        "--password",
        metavar="PASSWORD",
        help="The password; - reads a line of standard input, which keeps it out of the process list.",
    )(function)


def choose_password(given: str | None, ask: bool) -> tuple[str, bool]:
    """Return the password, and whether it was made up here, so that it has to be shown."""
    if given is not None and ask:
        raise click.UsageError("--password and --ask exclude each other")
    if given == "-":
        given = sys.stdin.readline().rstrip("\r\n")
    elif ask:
        if not somebody_is_there():
            raise click.UsageError("--ask needs a terminal; --password - reads a line of standard input")
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    if given is None:
        return generate(), True
    if not given:
        raise Fault("the password is empty; give one, or leave --password out and one is made up")
    return given, False


def generate() -> str:
    """Return a fresh password that can be read out and typed: ``x7gk2-…``."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
