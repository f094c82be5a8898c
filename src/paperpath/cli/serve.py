"""`paperpath serve`: becomes the supervisor."""

import click

from paperpath.cli.options import config_option, config_path


@click.command("serve")
@config_option
def command(config_file: str | None) -> int:
    """Run the mail server in the foreground.

    The log goes to standard error.  TERM or Control-C ends it: what is under way is
    finished first.  HUP reads the configuration again, ALRM has everything in the queue
    tried now.  USR1 and USR2 are ignored.

    \b
    Example:
      paperpath serve --config try/paperpath.toml
    """
    from paperpath.supervise.main import serve

    return serve(config_path(config_file))
