"""`paperpath check-config`: reads the configuration as the server would."""

import dataclasses
from typing import TYPE_CHECKING

import click

from paperpath.cli.faults import EXIT_PERMANENT
from paperpath.cli.options import config_option, config_path, json_option
from paperpath.cli.show import count, note, print_json, say
from paperpath.system import clock

if TYPE_CHECKING:
    from paperpath.config.schema import Config


@click.command("check-config")
@config_option
@json_option
def command(config_file: str | None, as_json: bool) -> int:
    """Check the configuration file: every problem, its line, and what to write instead.

    Certificates are looked at too, and whether clients can log in: what is wrong is told, on standard error.  Exits 0
    where the server would take the file, and 100 where it would not.

    \b
    Example:
      paperpath check-config --config try/paperpath.toml
    """
    from paperpath.config.load import load
    from paperpath.config.problems import ConfigError

    path = config_path(config_file)
    try:
        config = load(path)
    except ConfigError as error:
        if not as_json:
            raise
        problems = [dataclasses.asdict(problem) for problem in error.problems]
        print_json({"file": path, "ok": False, "problems": problems, "warnings": []})
        return EXIT_PERMANENT
    return _tell_of(config, path, as_json=as_json)


def _tell_of(config: "Config", path: str, *, as_json: bool) -> int:
    """Say what is wrong beside the file itself; return the exit code."""
    from paperpath.cli.certificates import look
    from paperpath.cli.open_logins import ADVICE, without_passwords

    looked = [(one, trouble) for one in look(config, clock.now()) for trouble in one.troubles]
    refused = any(trouble.kind == "unusable" for _, trouble in looked)
    warnings = [f"{one.certificate}: {trouble.text}" for one, trouble in looked]
    closed = without_passwords(config)
    if as_json:
        print_json(
            {"file": path, "ok": not refused, "problems": [], "warnings": [*warnings, *([closed] if closed else [])]}
        )
    else:
        for warning in warnings:
            note(f"{path}: [tls] {warning}")
        if closed:
            note(f"{path}: {closed}; {ADVICE}")
        if not refused:
            say(f"{path}: fine ({config.hostname}, {count(len(config.listen), 'listening socket')})")
    return EXIT_PERMANENT if refused else 0
