"""`paperpath explain`: how an address is routed and delivered, rule by rule."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from paperpath.base.address import domain_of, split
from paperpath.base.domains import suffixes
from paperpath.base.text import show
from paperpath.cli.options import config_option, json_option, load_config
from paperpath.cli.show import print_json, say, strong
from paperpath.config.routing import RoutingTable, is_relayed, next_hop, route

if TYPE_CHECKING:
    from paperpath.config.schema import Config
    from paperpath.system.users import User


@dataclass(frozen=True, slots=True)
class Step:
    """One rule that was tried."""

    table: str
    matched: bool
    about: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is told about one address."""

    address: str
    steps: tuple[Step, ...]
    channel: str
    delivered_as: str
    """The address as the delivery sees it: a virtual one has its account before it."""
    rule: str
    anybody_may_send: bool
    delivery: tuple[str, ...]
    """In words, a line each."""
    exists: bool | None
    """Whether the recipient exists; None where that is not ours to know."""


FindUser = Callable[[str], "User | None"]
LookUp = Callable[[str], tuple[str, ...]]


@click.command("explain")
@click.argument("address")
@click.option("--no-dns", is_flag=True, help="Do not ask DNS for mail exchangers.")
@config_option
@json_option
def command(address: str, no_dns: bool, config_file: str | None, as_json: bool) -> None:
    """Tell how an address is routed and delivered: which rule decided, and why not those before it.

    Reads the configuration and the accounts; the server need not run.

    \b
    Examples:
      paperpath explain you@trial.test
      paperpath explain someone@example.net --no-dns
    """
    if not address or "\x00" in address:
        raise click.UsageError("name an address")
    config = load_config(config_file)
    explanation = explain(config, os.fsencode(address), _find_user(), _look_up(config, no_dns))
    if as_json:
        print_json(asdict(explanation))
    else:
        _print(explanation)


def explain(config: "Config", address: bytes, find_user: FindUser, look_up: LookUp) -> Explanation:
    """Return how this address is routed and delivered."""
    from paperpath.config.load import routing_table

    table = routing_table(config)
    found = route(table, address)
    delivery: tuple[str, ...]
    exists: bool | None
    if found.rule == "mailboxes" or (found.rule == "postmaster" and domain_of(found.address) in table.mailboxes):
        delivery, exists = _mailbox(config, found.address)
    elif found.channel == "local":
        delivery, exists = _system_account(found.address, find_user)
    else:
        delivery, exists = _remote(table, found.destination, look_up), None
    return Explanation(
        address=show(address),
        steps=tuple(_steps(table, address)),
        channel=found.channel,
        delivered_as=show(found.address),
        rule=found.rule,
        anybody_may_send=found.channel == "local" or is_relayed(table, found),
        delivery=delivery,
        exists=exists,
    )


def _steps(table: RoutingTable, address: bytes) -> Iterator[Step]:
    """Yield the rules in the order in which `config.routing.route` tries them, up to the one that decides."""
    if b"@" not in address:
        yield Step("hostname", False, f"no @: {show(table.hostname)} is the domain")
        address += b"@" + table.hostname
    if route(table, address).rule == "postmaster":
        yield Step("postmaster", True, f"mail for postmaster goes to {show(table.postmaster)}")
        address = table.postmaster
    domain = domain_of(address)
    for name, domains in (("local", table.local), ("mailboxes", table.mailboxes)):
        matched = domain in domains
        yield Step(f"[{name}] domains", matched, f"{show(domain)} is {'listed' if matched else 'not listed'}")
        if matched:
            return
    keys = [address.lower(), *suffixes(domain), b""]
    key = next((key for key in keys if key in table.virtual), None)
    if key is None:
        yield Step("[virtual]", False, "none of " + ", ".join(f'"{show(key)}"' for key in keys))
    elif table.virtual[key]:
        yield Step("[virtual]", True, f'"{show(key)}" belongs to the account {show(table.virtual[key])}')
        return
    else:
        yield Step("[virtual]", False, f'"{show(key)}" is empty: not virtual after all')
    yield Step("otherwise", True, "the mail leaves this host")


def _mailbox(config: "Config", address: bytes) -> tuple[tuple[str, ...], bool]:
    from paperpath.config.mailbox_path import mailbox_folder
    from paperpath.config.places import mail_root

    local, domain = split(address)
    names = [local] + ([local.partition(b"+")[0]] if b"+" in local else [])
    tried: list[str] = []
    for name in names:
        folder = mailbox_folder(mail_root(config), name + b"@" + domain)
        if folder is None:
            tried.append(f"{show(name)}: no account can have this name")
        elif os.path.isdir(os.path.join(folder, "Maildir")):
            return (*tried, f"{show(name)}: mailbox {show(os.fsencode(folder))}/Maildir"), True
        else:
            tried.append(f"{show(name)}: there is no {show(os.fsencode(folder))}/Maildir")
    hint = f"`paperpath account add {show(names[-1] + b'@' + domain)}` makes it"
    return (*tried, f"no such mailbox: refused at RCPT; {hint}"), False


def _system_account(address: bytes, find_user: FindUser) -> tuple[tuple[str, ...], bool | None]:
    """Look for the account as qmail-getpw does (reference 4.5): the longest name that ends at a dash."""
    tried: list[str] = []
    local = split(address)[0]
    at = len(local)
    while at >= 0:
        name = show(local[:at].lower())
        user = find_user(name) if local[:at].isascii() else None
        obstacle = _obstacle(user)
        if user is not None and not obstacle:
            return _to_user(tried, user, show(local[at + 1 :]), at < len(local))
        tried.append(f"{name}: {obstacle}")
        at = local.rfind(b"-", 0, at)
    return (*tried, "no such account: refused at RCPT"), False


def _obstacle(user: "User | None") -> str:
    if user is None:
        return "no system account"
    if user.uid == 0:
        return "root gets no mail"
    try:
        return "" if os.stat(user.home).st_uid == user.uid else f"does not own its home {user.home}"
    except OSError as error:
        return f"home {user.home}: {error.strerror}"


def _to_user(
    tried: list[str], user: "User", extension: str, has_extension: bool
) -> tuple[tuple[str, ...], bool | None]:
    if has_extension:
        line = f"{user.name}: system account, with the extension {extension!r}, which it decides about itself"
        return (*tried, line), None
    maildir = os.path.join(user.home, "Maildir")
    if os.path.isdir(maildir):
        return (*tried, f"{user.name}: system account, mailbox {maildir}"), True
    return (*tried, f"{user.name}: system account, but there is no {maildir}: mail waits until there is"), True


def _remote(table: RoutingTable, domain: str, look_up: LookUp) -> tuple[str, ...]:
    hop = next_hop(table, domain)
    if hop:
        return (f"[routes] sends {domain} to {hop}",)
    return (f"[routes] has nothing for {domain}: its mail exchangers", *look_up(domain))


def _find_user() -> FindUser:
    from paperpath.system.users import find_user

    return find_user


def _look_up(config: "Config", no_dns: bool) -> LookUp:
    from paperpath.cli.exchangers import exchangers

    if no_dns:
        return lambda domain: ("DNS was not asked",)
    return lambda domain: exchangers(domain, config.remote.resolver)


def _print(explanation: Explanation) -> None:
    say(strong(explanation.address))
    width = max(len(step.table) for step in explanation.steps)
    for step in explanation.steps:
        say(f"  {'→' if step.matched else ' '} {step.table:<{width}}  {step.about}")
    if explanation.delivered_as != explanation.address:
        say(f"delivered as {explanation.delivered_as}")
    say(f"{explanation.channel} delivery:")
    for line in explanation.delivery:
        say(f"    {line}")
    who = "anybody" if explanation.anybody_may_send else "only [relay] networks"
    say(f"who may send to it: {who}")
