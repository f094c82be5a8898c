"""`paperpath account quota`: what a mailbox may hold, kept in its Maildir as Maildir++ has it."""

import os
from typing import TYPE_CHECKING

import click

from paperpath.cli.accounts import open_accounts, told
from paperpath.cli.faults import Fault
from paperpath.cli.options import config_option, json_option, load_config
from paperpath.cli.show import count, print_json, say, size

if TYPE_CHECKING:
    from paperpath.base.quota import Limits, Use
    from paperpath.config.schema import Config


@click.command("quota", short_help="Show or set what a mailbox may hold.")
@click.argument("address")
@click.option("--size", "size_limit", metavar="SIZE", help="The most it may hold: 500MiB, 2GiB, or bytes.")
@click.option("--messages", type=click.IntRange(min=1), help="The most messages it may hold.")
@click.option("--none", "without", is_flag=True, help="Take its quota away.")
@config_option
@json_option
def quota(
    address: str,
    size_limit: str | None,
    messages: int | None,
    without: bool,
    config_file: str | None,
    as_json: bool,
) -> None:
    """Show the quota of a mailbox and what it holds, or set it; --size or --messages replace both.

    Mail for a full mailbox is put off until there is room, and fails after the queue's lifetime; a message that
    is larger than the whole quota fails at once.

    \b
    Examples:
      paperpath account quota you@example.net
      paperpath account quota you@example.net --size 2GiB
    """
    from paperpath.delivery.quota import read_quota, remove_quota, set_quota
    from paperpath.system.folders import acting_as_owner_of

    config = load_config(config_file)
    limits = _limits(size_limit, messages)
    if without and limits is not None:
        raise click.UsageError("--none goes with neither --size nor --messages")
    maildir = _maildir(config, address)
    found: tuple[Limits, Use] | None
    with told(), acting_as_owner_of(maildir):
        if without:
            remove_quota(maildir)
        found = read_quota(maildir) if limits is None else (limits, set_quota(maildir, limits))
    if as_json:
        print_json({"address": address, "quota": None if found is None else _shown(*found)})
    else:
        say(f"{address}: no quota" if found is None else f"{address}: {_told(*found)}")


def _limits(size_limit: str | None, messages: int | None) -> "Limits | None":
    from paperpath.base.quota import Limits
    from paperpath.config.fields import parse_size

    if size_limit is None and messages is None:
        return None
    try:
        limit = parse_size(size_limit) if size_limit is not None else 0
    except ValueError:
        limit = -1
    if size_limit is not None and limit < 1:
        raise click.UsageError(f'--size: {size_limit!r} is no size; write something like "500MiB" or "2GiB"')
    return Limits(limit, messages or 0)


def _maildir(config: "Config", address: str) -> str:
    """Return the Maildir of an account.  Raises Fault."""
    with told():
        accounts = open_accounts(config).all()
    for account in accounts:
        if account.address == address.lower():
            return os.path.join(account.folder, "Maildir")
    raise Fault(f"there is no account {address}")


def _shown(limits: "Limits", use: "Use") -> dict[str, int | None]:
    return {
        "size_bytes": limits.size_bytes or None,
        "messages": limits.messages or None,
        "used_bytes": use.size_bytes,
        "used_messages": use.messages,
    }


def _told(limits: "Limits", use: "Use") -> str:
    parts = [size(limits.size_bytes)] if limits.size_bytes else []
    parts += [count(limits.messages, "message")] if limits.messages else []
    held = f"{size(use.size_bytes)} in {count(use.messages, 'message')}"
    return f"at most {', '.join(parts) or 'anything'}; holds {held}"
