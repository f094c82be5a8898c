"""`paperpath ban`: who is not served, why, and changing that."""

from collections.abc import Iterator
from typing import Any

import click
import msgspec

from paperpath.base.networks import parse_network, show_network
from paperpath.cli import ban_views as views
from paperpath.cli.control import converse, expect
from paperpath.cli.faults import Fault
from paperpath.cli.options import config_option, json_option, load_config, operator_name
from paperpath.cli.show import count, note, print_json, say
from paperpath.config.fields import parse_duration
from paperpath.config.places import guard_control
from paperpath.system import clock
from paperpath.wire import guard

_answers = msgspec.msgpack.Decoder(guard.FromGuardToOperator)
_WHO = "the guard"


class Network(click.ParamType[str]):
    """An address or a network, as the log shows it."""

    name = "network"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return it in the form that counts."""
        try:
            return show_network(parse_network(str(value)))
        except ValueError as error:
            self.fail(f"{error}: write 192.0.2.1, 192.0.2.0/24 or 2001:db8::/48", param, ctx)


class Duration(click.ParamType[int]):
    """A time such as 12h."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return seconds."""
        try:
            seconds = parse_duration(str(value))
        except ValueError:
            seconds = 0
        if not seconds:
            self.fail(f'{value!r} is no time: write "90s", "5m", "12h" or "7d"', param, ctx)
        return seconds


NETWORK, DURATION = Network(), Duration()


@click.group("ban")
def command() -> None:
    """See, explain, make and lift bans of addresses.  The server must be running.

    \b
    Examples:
      paperpath ban list
      paperpath ban add 192.0.2.1 --for 12h
    """


@command.command("list")
@config_option
@json_option
def list_bans(config_file: str | None, as_json: bool) -> None:
    """List the bans in force.

    \b
    Example:
      paperpath ban list
    """
    bans = list(_bans(_socket(config_file)))
    if as_json:
        print_json([views.ban_json(one) for one in bans])
        return
    if bans:
        views.print_bans(bans, clock.now())
    note(count(len(bans), "ban"))


@command.command("why", short_help="Say why an address is banned, with the evidence.")
@click.argument("network", metavar="ADDRESS", type=NETWORK)
@config_option
@json_option
def why(network: str, config_file: str | None, as_json: bool) -> None:
    """Say why an address or network is banned, with the evidence; or what counts against it so far.

    Exits with 100 where nothing does.

    \b
    Examples:
      paperpath ban why 192.0.2.1
      paperpath ban why 2001:db8::/48 --json
    """
    view = _view(_ask(_socket(config_file), guard.ExplainBan(network)))
    if as_json:
        print_json(views.ban_json(view))
    else:
        views.print_ban(view, clock.now())


@command.command("add")
@click.argument("network", metavar="NETWORK", type=NETWORK)
@click.option(
    "--for", "for_s", metavar="TIME", type=DURATION, default=None, help="How long, such as 12h; else for good."
)
@click.option("--reason", metavar="TEXT", default="", help="Why, for the log and for `ban why`.")
@config_option
@json_option
def add(network: str, for_s: int | None, reason: str, config_file: str | None, as_json: bool) -> None:
    """Ban an address or a network, for a while or until it is removed.

    Networks that are trusted ([relay] networks, [bans] trusted) cannot be banned.  Who is banned for a while is told to
    try later (421); who is banned for good is refused (554).

    \b
    Examples:
      paperpath ban add 192.0.2.1 --for 12h
      paperpath ban add 198.51.100.0/24 --reason "nothing but spam"
    """
    view = _view(_ask(_socket(config_file), guard.AddBan(network, for_s or 0, reason, operator_name())))
    if as_json:
        print_json(views.ban_json(view))
    else:
        say(f"{view.network} is banned {views.until(view, clock.now())}")


@command.command("remove", short_help="Lift a ban, and forget what led to it.")
@click.argument("network", metavar="NETWORK", type=NETWORK)
@config_option
@json_option
def remove(network: str, config_file: str | None, as_json: bool) -> None:
    """Lift the ban of an address or network, and forget what counts against it.

    It must be named as `ban list` shows it: a network's ban is not lifted for one of its addresses.

    \b
    Example:
      paperpath ban remove 192.0.2.1
    """
    path = _socket(config_file)
    answer = _converse(path, guard.RemoveBan(network, operator_name()))
    if isinstance(answer, guard.NoBan):
        raise Fault(_why_there_is_none(path, answer))
    view = _view(answer)
    if as_json:
        print_json(views.ban_json(view))
    else:
        say(f"{view.network} is served again" if view.since else f"what counted against {view.network} is forgotten")


def _socket(config_file: str | None) -> str:
    return guard_control(load_config(config_file))


def _converse(path: str, request: msgspec.Struct) -> guard.FromGuardToOperator:
    answer: guard.FromGuardToOperator = converse(path, request, _answers, _WHO)
    if isinstance(answer, guard.BanRefused):
        raise Fault(answer.reason)
    return answer


def _ask(path: str, request: msgspec.Struct) -> guard.FromGuardToOperator:
    answer = _converse(path, request)
    if isinstance(answer, guard.NoBan):
        raise Fault(_no_ban(answer))
    return answer


def _no_ban(answer: guard.NoBan) -> str:
    return f"{answer.network} is not banned, and nothing counts against it; `paperpath ban list` shows who is"


def _why_there_is_none(path: str, none: guard.NoBan) -> str:
    """Say why there is no ban to lift: it may be that of a network around the address."""
    around = _converse(path, guard.ExplainBan(none.network))
    if not isinstance(around, guard.BanView) or not around.since or around.network == none.network:
        return _no_ban(none)
    lift = f"`paperpath ban remove {around.network}` lifts that"
    return f"{none.network} has no ban of its own: it is banned with {around.network}; {lift}"


def _view(answer: guard.FromGuardToOperator) -> guard.BanView:
    return expect(guard.BanView, answer, _WHO)


def _bans(path: str) -> Iterator[guard.BanView]:
    """Yield every ban, page by page."""
    after = ""
    while True:
        page = expect(guard.BanPage, _ask(path, guard.ListBans(after)), _WHO)
        yield from page.bans
        if not page.more or not page.bans:
            return
        after = page.bans[-1].network
