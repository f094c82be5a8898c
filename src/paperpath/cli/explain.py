"""`paperpath explain`: how an address is routed and delivered, rule by rule."""

import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from paperpath.base.address import domain_of, split
from paperpath.base.text import show
from paperpath.cli.explain_account import FindUser, tell_account
from paperpath.cli.options import config_option, json_option, load_config
from paperpath.cli.show import print_json, say, strong
from paperpath.config.routing import RoutingTable, completed, is_open, next_hop, route, virtual_keys

if TYPE_CHECKING:
    from paperpath.config.schema import Config


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


LookUp = Callable[[str], tuple[str, ...]]

_CONTROL_FILES = {
    "hostname": "control/me",
    "[local] default_domain": "control/envnoathost",
    "[local] percent_hack": "control/percenthack",
    "[local] domains": "control/locals",
    "[virtual]": "control/virtualdomains",
}
"""What decides in the place of a table on a qmail host."""


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
    if not address or address.endswith("@") or "\x00" in address:
        raise click.UsageError(f"{address!r} is not an address; write something like you@example.net")
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
        delivery, exists = tell_account(config, found.address, find_user)
    else:
        delivery, exists = _remote(table, found.destination, look_up), None
    return Explanation(
        address=show(address),
        steps=tuple(_steps(config, table, address)),
        channel=found.channel,
        delivered_as=show(found.address),
        rule=found.rule,
        anybody_may_send=is_open(table, address, found),
        delivery=delivery,
        exists=exists,
    )


def _steps(config: "Config", table: RoutingTable, address: bytes) -> Iterator[Step]:
    """Yield the rules in the order in which `config.routing.route` tries them, up to the one that decides."""
    names = _CONTROL_FILES if config.qmail.home else {}
    completed_address = completed(table, address)
    yield from _completion(table, names, address)
    if route(table, address).rule == "postmaster":
        yield Step("postmaster", True, f"mail for postmaster goes to {show(table.postmaster)}")
        completed_address = table.postmaster
    domain = domain_of(completed_address)
    for name, domains in (("[local] domains", table.local), ("[mailboxes] domains", table.mailboxes)):
        matched = domain in domains
        yield Step(names.get(name, name), matched, f"{show(domain)} is {'listed' if matched else 'not listed'}")
        if matched:
            return
    yield from _virtual(table, names.get("[virtual]", "[virtual]"), completed_address)


def _completion(table: RoutingTable, names: dict[str, str], address: bytes) -> Iterator[Step]:
    """Yield how an address gets the domain that counts."""
    if b"@" not in address:
        name = "[local] default_domain" if table.default_domain else "hostname"
        default = table.default_domain or table.hostname
        yield Step(names.get(name, name), False, f"no @: {show(default)} is the domain")
        address += b"@" + default
    meant = completed(table, address)
    if meant != address:
        name = "[local] percent_hack"
        yield Step(names.get(name, name), False, f"{show(address)} means {show(meant)}")


def _virtual(table: RoutingTable, name: str, address: bytes) -> Iterator[Step]:
    keys = virtual_keys(address)
    key = next((key for key in keys if key in table.virtual), None)
    if key is None:
        yield Step(name, False, "none of " + ", ".join(f'"{show(key)}"' for key in keys))
    elif table.virtual[key]:
        yield Step(name, True, f'"{show(key)}" belongs to the account {show(table.virtual[key])}')
        return
    else:
        yield Step(name, False, f'"{show(key)}" is empty: not virtual after all')
    yield Step("otherwise", True, "the mail leaves this host")


def _mailbox(config: "Config", address: bytes) -> tuple[tuple[str, ...], bool | None]:
    from paperpath.config.mailbox_path import mailbox_folder, without_tag
    from paperpath.config.places import mail_root

    local, domain = split(address)
    names = without_tag(local)
    tried: list[str] = []
    for name in names:
        folder = mailbox_folder(mail_root(config), name + b"@" + domain)
        if folder is None:
            tried.append(f"{show(name)}: no account can have this name")
            continue
        maildir = f"{folder}/Maildir"
        try:
            os.stat(maildir)
        except PermissionError:
            return (*tried, f"{show(name)}: you may not look for {show(os.fsencode(maildir))}; become root"), None
        except OSError:
            tried.append(f"{show(name)}: there is no {show(os.fsencode(maildir))}")
        else:
            return (*tried, f"{show(name)}: mailbox {show(os.fsencode(maildir))}"), True
    domain_folder = os.path.join(mail_root(config), os.fsdecode(domain.lower()))
    if not os.path.isdir(domain_folder):
        return (*tried, f"mail waits: there is no {show(os.fsencode(domain_folder))}; the first account makes it"), None
    hint = f"`paperpath account add {show(names[-1] + b'@' + domain)}` makes it"
    return (*tried, f"no such mailbox: refused at RCPT; {hint}"), False


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
    who = "anybody" if explanation.anybody_may_send else "clients in [relay] networks, and who has logged in"
    say(f"who may send to it: {who}")
