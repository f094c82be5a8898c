"""`paperpath send`: writes a message and hands it to a server by SMTP."""

import os
import secrets
import sys
from typing import TYPE_CHECKING

import click

from paperpath.base.dates import rfc5322
from paperpath.base.outcome import Deferred, Delivered, Outcome
from paperpath.base.text import one_line, show
from paperpath.cli.faults import EXIT_PERMANENT, EXIT_TEMPORARY, Fault
from paperpath.cli.options import config_option, config_path, json_option, load_config
from paperpath.cli.show import bad, good, print_json, say
from paperpath.message.encoded_words import encoded_words
from paperpath.system import clock

if TYPE_CHECKING:
    from paperpath.config.endpoints import Tcp, Unix
    from paperpath.config.schema import Config

_BODY = "If you can read this, Paperpath works."
_SUBJECT = "A message to try things out"
_HELO_WITHOUT_CONFIG = "localhost"


@click.command("send")
@click.option("--to", "recipients", metavar="A@D", multiple=True, required=True, help="Recipient; may be repeated.")
@click.option("--from", "sender", metavar="A@D", help="Sender; else postmaster at this host.")
@click.option("--subject", metavar="TEXT", default=_SUBJECT, show_default=True)
@click.option(
    "--body", metavar="TEXT|-|FILE", default=_BODY, help="The text; - reads standard input, an existing FILE is read."
)
@click.option("--server", metavar="HOST:PORT", help="Where to; else the first smtp listener of the configuration.")
@config_option
@json_option
def command(
    recipients: tuple[str, ...],
    sender: str | None,
    subject: str,
    body: str,
    server: str | None,
    config_file: str | None,
    as_json: bool,
) -> int:
    """Send a message to try things out, and print what the server answers, with the id in its queue.

    The body is taken as it stands; an argument that names an existing file is read from it.

    \b
    Examples:
      paperpath send --to you@trial.test
      paperpath send --to you@trial.test --subject Hello --body "How are you?"
      date | paperpath send --to you@trial.test --body - --server 127.0.0.1:2525
    """
    from paperpath.cli.smtp import deliver
    from paperpath.protocol.smtp_client_events import Transaction

    config = (
        None if server and config_file is None and not os.path.exists(config_path(None)) else load_config(config_file)
    )
    helo = config.hostname if config else _HELO_WITHOUT_CONFIG
    origin = _address(sender or f"postmaster@{helo}")
    targets = tuple(_address(recipient) for recipient in recipients)
    content = compose(origin, targets, subject, _read_body(body), int(clock.now()), secrets.token_hex(12), helo)
    transaction = Transaction(origin, targets, content, len(content), eight_bit=not content.isascii())
    where = _server(server, config)
    outcomes = deliver(where, helo, transaction)
    _report(str(where), targets, outcomes, as_json)
    if all(isinstance(outcome, Delivered) for outcome in outcomes):
        return 0
    return EXIT_TEMPORARY if any(isinstance(outcome, Deferred) for outcome in outcomes) else EXIT_PERMANENT


def compose(
    sender: bytes, recipients: tuple[bytes, ...], subject: str, body: bytes, now: int, token: str, host: str
) -> bytes:
    """Return the message, lines ending in LF.  ``token`` makes its Message-ID unlike every other."""
    fields = [
        b"Date: " + rfc5322(now).encode(),
        b"From: <" + sender + b">",
        b"To: " + b",\n ".join(b"<" + recipient + b">" for recipient in recipients),
        b"Subject: " + _encoded(one_line(subject, 400)),
        f"Message-ID: <{token}@{host}>".encode(),
        b"MIME-Version: 1.0",
        b"Content-Type: text/plain; charset=utf-8",
        b"Content-Transfer-Encoding: " + (b"7bit" if body.isascii() else b"8bit"),
    ]
    return b"\n".join(fields) + b"\n\n" + body.replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n"


def _encoded(text: str) -> bytes:
    """Return a header's text, as encoded words where it is not ASCII (RFC 2047)."""
    return text.encode() if text.isascii() else b"\n ".join(encoded_words(text))


def _address(text: str) -> bytes:
    from paperpath.config.names import mail_address

    try:
        return mail_address(text).encode()
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _read_body(body: str) -> bytes:
    if body == "-":
        return sys.stdin.buffer.read()
    if os.path.isfile(body):
        with open(body, "rb") as file:
            return file.read()
    return body.encode("utf-8", "surrogateescape")


def _server(given: str | None, config: "Config | None") -> "Tcp | Unix":
    from paperpath.config.endpoints import local_end, parse_listen, parse_server

    if given:
        try:
            return parse_server(given, 25)
        except ValueError as error:
            raise click.UsageError(f"--server: {error}") from None
    assert config is not None, "without --server the configuration is read"
    for listener in config.listen:
        if listener.service == "smtp":
            return local_end(parse_listen(listener.address))
    raise Fault('the configuration has no [[listen]] with service = "smtp"; name a server with --server HOST:PORT')


def _report(server: str, recipients: tuple[bytes, ...], outcomes: tuple[Outcome, ...], as_json: bool) -> None:
    pairs = list(zip(recipients, outcomes, strict=True))
    if as_json:
        print_json(
            {
                "server": server,
                "recipients": [
                    {
                        "address": show(address),
                        "result": _word(outcome),
                        "status": outcome.status,
                        "answer": outcome.text,
                    }
                    for address, outcome in pairs
                ],
            }
        )
        return
    for address, outcome in pairs:
        colour = good if isinstance(outcome, Delivered) else bad
        say(f"{show(address)}: {colour(_word(outcome))} by {server}: {outcome.text}")


def _word(outcome: Outcome) -> str:
    if isinstance(outcome, Delivered):
        return "accepted"
    return "deferred" if isinstance(outcome, Deferred) else "refused"
