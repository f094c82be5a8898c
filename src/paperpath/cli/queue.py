"""`paperpath queue`: look into the queue, and operate it."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import click

from paperpath.base.ids import parse_id, show_id
from paperpath.base.text import show as show_bytes
from paperpath.cli import queue_views as views
from paperpath.cli.control import ask, expect
from paperpath.cli.faults import Fault
from paperpath.cli.options import config_option, json_option, load_config, operator_name
from paperpath.cli.show import count, note, print_json, say, somebody_is_there
from paperpath.config.places import queue_control
from paperpath.system import clock
from paperpath.wire import control

_CONTENT_MOST_BYTES = 64 * 1024
"""How much of a message `show --content` prints: enough to tell what it is."""


class MessageId(click.ParamType[int]):
    """An id as the log and `queue list` show it."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number behind it."""
        try:
            return parse_id(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


MESSAGE_ID = MessageId()


@click.group("queue")
def command() -> None:
    """Look into the queue and operate it.  The server must be running.

    \b
    Examples:
      paperpath queue list
      paperpath queue why 1nqk2c9xg4e
    """


@command.command("list")
@click.option("--sender", metavar="TEXT", default="", help="Only where the sender contains this.")
@click.option("--recipient", metavar="TEXT", default="", help="Only where a recipient contains this.")
@click.option("--destination", metavar="TEXT", default="", help="Only where a destination contains this.")
@click.option("--held", is_flag=True, help="Only messages on hold.")
@config_option
@json_option
def list_messages(
    sender: str, recipient: str, destination: str, held: bool, config_file: str | None, as_json: bool
) -> None:
    """List messages, the oldest first.

    \b
    Examples:
      paperpath queue list
      paperpath queue list --destination example.net
      paperpath queue list --json | jq -r '.[].id'
    """
    path = _socket(config_file)
    first = control.ListMessages(0, os.fsencode(sender), os.fsencode(recipient), destination, held)
    if as_json:
        _print_json_list(_messages(path, first))
        return
    total = 0
    for message in _messages(path, first):
        if not total:
            say(views.LIST_HEADER)
        total += 1
        say(views.list_line(message, clock.now()))
        if total % control.PAGE_MOST == 0 and not sys.stdout.isatty() and sys.stderr.isatty():
            note(f"{total:,} …")
    note(count(total, "message"))


@command.command("show")
@click.argument("message", metavar="ID", type=MESSAGE_ID)
@click.option("--content", is_flag=True, help="Print the message itself instead, up to 64 KiB of it.")
@config_option
@json_option
def show_message(message: int, content: bool, config_file: str | None, as_json: bool) -> None:
    """Show a message: envelope, unfinished recipients, history.

    \b
    Example:
      paperpath queue show 1nqk2c9xg4e
    """
    path = _socket(config_file)
    if content:
        read = expect(control.Content, ask(path, control.ReadContent(message, _CONTENT_MOST_BYTES)))
        _print_content(read, as_json)
        return
    view = expect(control.MessageView, ask(path, control.ShowMessage(message)))
    if as_json:
        print_json(views.message_json(view))
    else:
        views.print_message(view, clock.now())


@command.command("why", short_help="Say why a message is still here, and until when.")
@click.argument("message", metavar="ID", type=MESSAGE_ID)
@config_option
@json_option
def why(message: int, config_file: str | None, as_json: bool) -> None:
    """Say for each recipient why the message is still here, and when that changes.

    \b
    Example:
      paperpath queue why 1nqk2c9xg4e
    """
    waits = expect(control.Waits, ask(_socket(config_file), control.ExplainWait(message)))
    if as_json:
        print_json([views.why_json(one) for one in waits.recipients])
    else:
        views.print_why(waits.recipients, clock.now())


@command.command("trace", short_help="Tell what happened to a message, step by step.")
@click.argument("message", metavar="ID", type=MESSAGE_ID)
@config_option
@json_option
def trace(message: int, config_file: str | None, as_json: bool) -> None:
    """Tell what happened to a message, step by step, and where it is now.

    \b
    Example:
      paperpath queue trace 1nqk2c9xg4e
    """
    view = expect(control.MessageView, ask(_socket(config_file), control.ShowMessage(message)))
    if as_json:
        print_json(views.trace_json(view))
    else:
        views.print_trace(view, clock.now())


@command.command("stats")
@config_option
@json_option
def stats(config_file: str | None, as_json: bool) -> None:
    """Print the numbers of the queue.

    \b
    Example:
      paperpath queue stats --json
    """
    numbers = expect(control.Numbers, ask(_socket(config_file), control.Statistics()))
    if as_json:
        print_json(views.stats_json(numbers))
    else:
        views.print_stats(numbers, clock.now())


def _operation(verb: str, done: str, about: str) -> None:
    """Add the command for one verb; all take ids or --all."""

    @command.command(
        verb, help=f"{about}\n\n\b\nExamples:\n  paperpath queue {verb} 1nqk2c9xg4e\n  paperpath queue {verb} --all"
    )
    @click.argument("messages", metavar="[ID]...", nargs=-1, type=MESSAGE_ID)
    @click.option("--all", "everything", is_flag=True, help="All messages of the queue.")
    @config_option
    @json_option
    def operate(messages: tuple[int, ...], everything: bool, config_file: str | None, as_json: bool) -> None:
        _check_choice(messages, everything)
        _operate(verb, done, messages, config_file, as_json)


@command.command("remove")
@click.argument("messages", metavar="[ID]...", nargs=-1, type=MESSAGE_ID)
@click.option("--all", "everything", is_flag=True, help="All messages of the queue.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@config_option
@json_option
def remove(messages: tuple[int, ...], everything: bool, yes: bool, config_file: str | None, as_json: bool) -> None:
    """Delete messages for good.  Nobody is told: no report goes to the sender.

    Asks first where there is a terminal; without one, --all needs --yes.

    \b
    Examples:
      paperpath queue remove 1nqk2c9xg4e
      paperpath queue remove --all --yes
      paperpath queue list --sender spam@example.net --json |
        jq -r '.[].id' | xargs paperpath queue remove --yes
    """
    _check_choice(messages, everything)
    if not yes:
        _confirm(
            f"Delete {'every message of the queue' if everything else count(len(messages), 'message')}?", everything
        )
    _operate("remove", "removed", messages, config_file, as_json)


_operation("hold", "held", "Keep messages from being delivered until they are released.")
_operation("release", "released", "Let held messages be delivered again.")
_operation("retry", "due now", "Make what waits for a later attempt due now.")


def _socket(config_file: str | None) -> str:
    return queue_control(load_config(config_file))


def _messages(path: str, request: control.ListMessages) -> Iterator[control.MessageView]:
    """Yield every message, page by page: neither side holds the whole list."""
    while True:
        page = expect(control.Page, ask(path, request))
        yield from page.messages
        if not page.more or not page.messages:
            return
        request = control.ListMessages(
            page.messages[-1].message,
            request.sender,
            request.recipient,
            request.destination,
            request.held_only,
        )


def _print_json_list(messages: Iterator[control.MessageView]) -> None:
    """Print one JSON array, an element a line, as the pages come."""
    import json

    separator = "["
    for message in messages:
        click.echo(separator + json.dumps(views.summary_json(message), ensure_ascii=False), nl=False)
        separator = ",\n "
    click.echo("[]" if separator == "[" else "]")


def _print_content(read: control.Content, as_json: bool) -> None:
    text = read.trace + read.content
    lines = [_shown(line) for line in text.removesuffix(b"\n").split(b"\n")]
    if as_json:
        print_json({"size": read.size, "complete": len(read.content) >= read.size, "lines": lines})
        return
    for line in lines:
        say(line)
    if len(read.content) < read.size:
        note(f"… {count(read.size - len(read.content), 'byte')} more")


def _shown(line: bytes) -> str:
    """Make a line of a message fit for a terminal; the tabs of folded fields stay."""
    return "\t".join(show_bytes(piece) for piece in line.split(b"\t"))


def _check_choice(messages: tuple[int, ...], everything: bool) -> None:
    if bool(messages) == everything:
        raise click.UsageError("name messages, or --all for every one; not both")


def _confirm(question: str, everything: bool) -> None:
    if somebody_is_there():
        click.confirm(question, abort=True, err=True)
    elif everything:
        raise click.UsageError("--all deletes the whole queue: add --yes where nobody can be asked")


def _operate(verb: str, done: str, messages: tuple[int, ...], config_file: str | None, as_json: bool) -> None:
    wanted = tuple(dict.fromkeys(messages))
    answer = expect(control.Done, ask(_socket(config_file), control.Operate(verb, wanted, operator_name())))
    if as_json:
        print_json({"touched": answer.touched})
    else:
        say(f"{count(answer.touched, 'message')} {done}")
    if answer.touched < len(wanted):
        named = show_id(wanted[0]) if len(wanted) == 1 else count(len(wanted) - answer.touched, "message")
        raise Fault(f"{named} not in the queue (any more), or not in a state for `{verb}`; see `paperpath queue list`")
