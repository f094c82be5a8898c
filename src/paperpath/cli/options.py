"""Options that many commands have, and what they stand for."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from paperpath.config.schema import Config

F = TypeVar("F", bound=Callable[..., object])


def config_option(function: F) -> F:
    """Add ``--config FILE``, given to the command as ``config_file``."""
    return click.option(
        "--config",
        "config_file",
        metavar="FILE",
        type=click.Path(dir_okay=False),
        help="Configuration file; else PAPERPATH_CONFIG, else /etc/paperpath/paperpath.toml.",
    )(function)


def json_option(function: F) -> F:
    """Add ``--json``, given to the command as ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def config_path(given: str | None) -> str:
    """Return the configuration file that counts."""
    from paperpath.config.program_values import DEFAULT_FILE

    return given or os.environ.get("PAPERPATH_CONFIG") or DEFAULT_FILE


def load_config(given: str | None) -> "Config":
    """Read the configuration file that counts.  Raises ConfigError."""
    from paperpath.config.load import load

    return load(config_path(given))


def operator_name() -> str:
    """Return who is typing, for the log."""
    import pwd

    from paperpath.base.text import show

    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"uid {os.getuid()}"
    behind = os.environ.get("SUDO_USER", "")
    return show(os.fsencode(f"{name} (for {behind})" if behind else name))
