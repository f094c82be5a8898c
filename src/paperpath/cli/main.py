"""Entry of the `paperpath` command: finds the command that was named, turns what went wrong into one line.

Exit codes: 0 done, 100 permanent, 111 temporary, 64 usage.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from paperpath.cli.faults import EXIT_PERMANENT, EXIT_TEMPORARY, EXIT_USAGE, Fault

# Name and what the overview says, which loads none of the modules.
_COMMANDS = {
    "init": "Write a configuration, make its folders and its first accounts.",
    "serve": "Run the mail server in the foreground.",
    "check-config": "Check the configuration file.",
    "account": "Add, remove and list mailboxes; set passwords.",
    "queue": "Look into the queue and operate it.",
    "ban": "See, explain, make and lift bans of addresses.",
    "explain": "Tell how an address is routed and delivered, rule by rule.",
    "import": "Turn a qmail host's control files into a configuration.",
    "send": "Send a message to try things out.",
    "programs": "Install sendmail, qmail-inject and the others under their own names.",
    "tls": "Show certificates, when they expire, and where TLS is offered.",
    "doctor": "Check this installation and say what to mend.",
    "completion": "Print the completion script of a shell.",
}

_MODULES = {"import": "import_qmail"}
"""Modules that are not called after their command: a keyword names no module."""

_EPILOG = """\b
Every command takes --help.  The configuration is --config FILE, else
PAPERPATH_CONFIG, else /etc/paperpath/paperpath.toml.
Exit codes: 0 done, 100 permanent error, 111 temporary error, 64 usage.

\b
To try it out, without root:
  paperpath init try --hostname mx.trial.test --account you@trial.test
  paperpath serve --config try/paperpath.toml
"""


class Program(click.Group):
    """The group of all commands, which loads the one that is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which a newcomer meets them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"paperpath.cli.{_MODULES.get(cmd_name, cmd_name.replace('-', '_'))}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview without loading any command."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run one command and exit."""
        if os.environ.get("NO_COLOR"):
            extra["color"] = False
        try:
            code = super().main(args, prog_name or "paperpath", complete_var, standalone_mode=False, **extra)
        except SystemExit:
            # Whoever read our output has seen enough, and click wants to end with 1: no error, and no code of ours.
            code = 0
        except Exception as error:
            code = _explain(error)
        sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> int:
    """Say in one line (a configuration file's problems: one each) what is wrong; return the exit code."""
    if isinstance(error, click.UsageError):
        error.show()
        return EXIT_USAGE
    if isinstance(error, click.Abort):
        return _complain("stopped", EXIT_TEMPORARY)
    if isinstance(error, Fault):
        return _complain(str(error), error.exit_code)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return _complain(f"{place}{error.strerror or error}", EXIT_TEMPORARY)
    return _complain_of_others(error)


def _complain_of_others(error: Exception) -> int:
    from paperpath.config.problems import ConfigError

    if isinstance(error, ConfigError):
        return _complain(str(error), EXIT_PERMANENT)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    what = " ".join(f"{type(error).__name__}: {error}".split())
    return _complain(f"{what} ({place}); this is a defect of Paperpath, please report the line", EXIT_TEMPORARY)


def _complain(text: str, code: int) -> int:
    for line in text.splitlines():
        click.echo(f"paperpath: {line}", err=True)
    return code


@click.command(cls=Program, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="paperpath", message="%(prog)s %(version)s")
def main() -> None:
    """Paperpath, a mail transfer agent that never loses a message."""
