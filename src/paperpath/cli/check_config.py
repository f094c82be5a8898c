"""`paperpath check-config`: reads the configuration as the server would."""

import dataclasses

import click

from paperpath.cli.faults import EXIT_PERMANENT
from paperpath.cli.options import config_option, config_path, json_option
from paperpath.cli.show import count, print_json, say


@click.command("check-config")
@config_option
@json_option
def command(config_file: str | None, as_json: bool) -> int:
    """Check the configuration file: every problem, its line, and what to write instead.

    Exits 0 where the server would take the file, and 100 where it would not.

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
        print_json({"file": path, "ok": False, "problems": problems})
        return EXIT_PERMANENT
    if as_json:
        print_json({"file": path, "ok": True, "problems": []})
        return 0
    say(f"{path}: fine ({config.hostname}, {count(len(config.listen), 'listening socket')})")
    return 0
