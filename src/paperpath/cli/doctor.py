"""`paperpath doctor`: looks at an installation and says what to mend."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from paperpath.base.text import one_line
from paperpath.cli.faults import EXIT_PERMANENT, EXIT_TEMPORARY
from paperpath.cli.options import config_option, config_path, json_option
from paperpath.cli.show import bad, good, print_json, say

if TYPE_CHECKING:
    from paperpath.cli.findings import Finding

_WORDS = {"good": "ok", "notice": "look", "down": "down", "bad": "bad"}


@click.command("doctor")
@click.option("--no-dns", is_flag=True, help="Do not ask the name server.")
@config_option
@json_option
def command(no_dns: bool, config_file: str | None, as_json: bool) -> int:
    """Check this installation: configuration, folders, accounts, room, clock, queue, certificates, sockets, DNS.

    Changes nothing.  Exits 0 where all is well, 111 where something does not answer now, 100 where something
    has to be mended.

    \b
    Example:
      paperpath doctor --config try/paperpath.toml
    """
    findings = _examine(config_path(config_file), with_dns=not no_dns)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            _print(finding)
    verdicts = {finding.verdict for finding in findings}
    return EXIT_PERMANENT if "bad" in verdicts else EXIT_TEMPORARY if "down" in verdicts else 0


def _examine(file: str, *, with_dns: bool) -> "list[Finding]":
    from paperpath.cli.checks import all_checks
    from paperpath.cli.findings import Finding
    from paperpath.config.load import load
    from paperpath.config.problems import ConfigError

    try:
        config = load(file)
    except ConfigError as error:
        return [Finding("configuration", "bad", line, "mend the file") for line in str(error).splitlines()]
    return [Finding("configuration", "good", file), *all_checks(config, file, with_dns=with_dns)]


def _print(finding: "Finding") -> None:
    word = f"{_WORDS[finding.verdict]:<4}"
    shown = good(word) if finding.verdict == "good" else bad(word)
    say(f"{shown}  {finding.what}: {one_line(finding.found)}")
    if finding.advice:
        say(f"      → {one_line(finding.advice)}")
