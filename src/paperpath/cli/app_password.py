"""`paperpath account app-password`: passwords for one program or device each."""

from typing import TYPE_CHECKING, Any

import click

from paperpath.cli.accounts import open_accounts, told
from paperpath.cli.options import config_option, json_option, load_config
from paperpath.cli.passwords import generate
from paperpath.cli.show import age, print_json, say, table
from paperpath.system import clock

if TYPE_CHECKING:
    from paperpath.config.credentials import AppPassword
    from paperpath.config.uses import Use


@click.group("app-password")
def command() -> None:
    """Add, remove and list application passwords of an account.

    Each lets one program or device log in beside the account's own password, and can be taken back alone.  They are
    made here and shown once.

    \b
    Example:
      paperpath account app-password add you@example.net phone
    """


@command.command("add")
@click.argument("address")
@click.argument("label")
@config_option
@json_option
def add(address: str, label: str, config_file: str | None, as_json: bool) -> None:
    """Make an application password, named LABEL, and show it, once.

    \b
    Example:
      paperpath account app-password add you@example.net phone
    """
    config = load_config(config_file)
    secret = generate()
    with told():
        open_accounts(config).add_app_password(address, label, secret, int(clock.now()))
    if as_json:
        print_json({"address": address, "label": label, "password": secret})
    else:
        say(f"{address}: password {secret} for {label}   (shown only now)")


@command.command("remove")
@click.argument("address")
@click.argument("label")
@config_option
def remove(address: str, label: str, config_file: str | None) -> None:
    """Take an application password back; it opens nothing from now on.

    \b
    Example:
      paperpath account app-password remove you@example.net phone
    """
    config = load_config(config_file)
    with told():
        open_accounts(config).remove_app_password(address, label)
    say(f"{address}: the password for {label} is gone")


@command.command("list")
@click.argument("address")
@config_option
@json_option
def list_passwords(address: str, config_file: str | None, as_json: bool) -> None:
    """List the application passwords of an account, with their last use.

    \b
    Example:
      paperpath account app-password list you@example.net
    """
    from paperpath.config.mailbox_path import account_name
    from paperpath.config.places import uses_file
    from paperpath.config.uses import read_uses

    config = load_config(config_file)
    with told():
        held = open_accounts(config).app_passwords(address)
        name = account_name(address.encode())
        uses = {} if name is None else read_uses(uses_file(config), "@".join(name))
    rows = [(one, uses.get(one.label)) for one in held]
    if as_json:
        print_json([_as_json(*row) for row in rows])
    elif rows:
        now = clock.now()
        table(("LABEL", "AGE", "LAST USE", "FROM"), [_as_row(*row, now) for row in rows], right=(1, 2))
    else:
        say(f"{address} has no application passwords")


def _as_json(one: "AppPassword", use: "Use | None") -> dict[str, Any]:
    used = {"service": use.service, "peer": use.peer} if use else {}
    return {"label": one.label, "created": one.created, "used": use.at if use else None} | used


def _as_row(one: "AppPassword", use: "Use | None", now: float) -> tuple[str, ...]:
    return one.label, age(now - one.created), age(now - use.at) if use else "never", use.peer if use else ""
