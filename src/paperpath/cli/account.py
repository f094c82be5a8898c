"""`paperpath account`: mailboxes under state/mail and their passwords."""

from typing import TYPE_CHECKING

import click

from paperpath.cli import app_password
from paperpath.cli.account_quota import quota
from paperpath.cli.accounts import open_accounts, told
from paperpath.cli.faults import Fault
from paperpath.cli.options import config_option, config_path, json_option, load_config
from paperpath.cli.passwords import choose_password, password_options
from paperpath.cli.show import age, print_json, say, table
from paperpath.system import clock

if TYPE_CHECKING:
    from paperpath.config.schema import Config


@click.group("account")
def command() -> None:
    """Add, remove and list mailboxes; set passwords.

    Mailboxes are in the domains of [mailboxes]; each has a Maildir under state/mail/DOMAIN/LOCAL.

    \b
    Examples:
      paperpath account add you@example.net
      paperpath account list
    """


command.add_command(app_password.command)
command.add_command(quota)


@command.command("add")
@click.argument("address")
@password_options
@config_option
@json_option
def add(address: str, password: str | None, ask: bool, config_file: str | None, as_json: bool) -> None:
    """Make a mailbox.  Without --password or --ask a password is made up and shown, once.

    \b
    Examples:
      paperpath account add you@example.net
      pass show mail | paperpath account add you@example.net --password -
    """
    config = load_config(config_file)
    _check_domain(config, address, config_path(config_file))
    secret, made_up = choose_password(password, ask)
    with told():
        account = open_accounts(config).add(address, secret, int(clock.now()))
    if as_json:
        shown = {"password": secret} if made_up else {}
        print_json({"address": account.address, "folder": account.folder, "created": account.created} | shown)
        return
    say(f"{account.address}: mailbox {account.folder}/Maildir")
    if made_up:
        say(f"{account.address}: password {secret}   (shown only now)")


@command.command("remove")
@click.argument("address")
@click.option("--delete-mail", is_flag=True, help="Delete the mail instead of moving it aside.")
@config_option
def remove(address: str, delete_mail: bool, config_file: str | None) -> None:
    """Take a mailbox away.  Its mail is moved aside, to state/mail/.removed, unless --delete-mail is given.

    \b
    Example:
      paperpath account remove you@example.net
    """
    config = load_config(config_file)
    with told():
        aside = open_accounts(config).remove(address, int(clock.now()), delete_mail=delete_mail)
    say(f"{address}: removed" + (f"; its mail is in {aside}" if aside else ""))


@command.command("list")
@config_option
@json_option
def list_accounts(config_file: str | None, as_json: bool) -> None:
    """List the accounts with their age and folder.

    \b
    Example:
      paperpath account list --json | jq -r '.[].address'
    """
    config = load_config(config_file)
    with told():
        accounts = open_accounts(config).all()
    if as_json:
        print_json([{"address": a.address, "created": a.created, "folder": a.folder} for a in accounts])
    elif accounts:
        now = clock.now()
        table(
            ("ADDRESS", "AGE", "FOLDER"),
            [(a.address, age(now - a.created), a.folder) for a in accounts],
            right=(1,),
        )
    else:
        say("no accounts; `paperpath account add ADDRESS` makes one")


@command.command("password")
@click.argument("address")
@password_options
@config_option
def set_password(address: str, password: str | None, ask: bool, config_file: str | None) -> None:
    """Set the password of an account.  Without --password or --ask one is made up and shown, once.

    \b
    Example:
      paperpath account password you@example.net --ask
    """
    config = load_config(config_file)
    secret, made_up = choose_password(password, ask)
    with told():
        open_accounts(config).set_password(address, secret)
    say(f"{address}: password {secret}   (shown only now)" if made_up else f"{address}: password set")


def _check_domain(config: "Config", address: str, file: str) -> None:
    from paperpath.config.mailbox_path import account_name

    name = account_name(address.encode("utf-8", "surrogateescape"))
    if name is None:
        raise Fault(f"{address!r} cannot be an account; write something like you@example.net")
    domain = name[1]
    if domain not in config.mailboxes.domains:
        raise Fault(
            f"{domain} is not one of [mailboxes] domains in {file}; add it there first, then send the server HUP"
        )
