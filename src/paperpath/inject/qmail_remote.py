"""qmail-remote: sends one message to one host by SMTP (qmail-interfaces 12).

    qmail-remote host sender recipient...

The message is on descriptor 0.  What came of it is printed, never an exit code.
"""

import os
import socket

from paperpath.config.control import Control
from paperpath.inject.command import qmail_home
from paperpath.inject.tcpto import Table
from paperpath.message.rewriting import quote_argument
from paperpath.protocol.qmail_remote import PARTIAL_LINE, UNREADABLE, Dialogue, Step
from paperpath.protocol.smtp_client_data import DataEncoder
from paperpath.system import clock, injection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from paperpath.inject.qmail_remote_hosts import Preferred

_USAGE = b"DI (qmail-remote) was invoked improperly. (#5.3.5)\n\0"
_NO_CONTROLS = b"ZUnable to read control files. (#4.3.0)\n\0"
_NO_HOME = b"ZUnable to switch to home directory. (#4.3.0)\n\0"
_NO_RESOURCES = b"ZSystem resources temporarily unavailable. (#4.3.0)\n\0"
_NO_CONNECTION = b"ZSorry, I wasn't able to establish an SMTP connection. (#4.4.1)\n\0"
_LINE_END = b"DSMTP cannot carry an address with a line end in it. (#5.1.3)\n\0"
_READ_BYTES = 64 * 1024
_SMTP_PORT = 25
_LONGEST_S = 10_000_000


class _Over(Exception):
    """There is nothing to be done; the argument is the item of the report."""


class _Settings:
    """What the control files say."""

    __slots__ = ("connect_s", "helo", "home", "routes", "step_s")

    def __init__(self, home: str) -> None:
        """Raises _Over."""
        self.home = home
        if not os.path.isdir(home):
            raise _Over(_NO_HOME)
        control = Control(home)
        try:
            helo = control.line("helohost")
            self.routes = control.smtproutes()
            self.step_s = _time_limit(control.number("timeoutremote"))
            self.connect_s = _time_limit(control.number("timeoutconnect"))
        except OSError:
            raise _Over(_NO_CONTROLS) from None
        if helo is None:
            raise _Over(_NO_CONTROLS)
        self.helo = helo


def main(argv: list[str]) -> int:
    """Send; return 0."""
    try:
        report = _send([os.fsencode(word) for word in argv[1:]])
    except _Over as over:
        report = over.args[0]
    injection.write_all(1, report)
    return 0


def _send(words: list[bytes]) -> bytes:
    """Return the report.  Raises _Over."""
    if len(words) < 3:
        raise _Over(_USAGE)
    host, *addresses = words
    settings = _Settings(qmail_home())
    if any(b"\n" in address or b"\r" in address for address in addresses):
        raise _Over(_LINE_END)
    sender, *recipients = [address if b"@" not in address else quote_argument(address) for address in addresses]
    found, port = _find(settings, host)
    table = Table(settings.home)
    for address in found:
        connection = _connect(table, address, port, settings.connect_s)
        if connection is not None:
            with connection:
                connection.settimeout(settings.step_s)
                dialogue = Dialogue(address.encode(), settings.helo, sender, recipients)
                return _converse(connection, dialogue)
    raise _Over(_NO_CONNECTION)


def _find(settings: _Settings, host: bytes) -> tuple[list[str], int]:
    """Return the addresses to try, and the port.  Raises _Over."""
    from paperpath.inject import qmail_remote_hosts as hosts

    relay = hosts.route(settings.routes, host)
    name, port = relay if relay is not None else (host, _SMTP_PORT)
    address = hosts.literal(name)
    try:
        found = [(0, address)] if address is not None else _look_up(name, is_relay=relay is not None)
        return hosts.beyond_us(found, () if relay is not None else _own()), port
    except hosts.Nowhere as nowhere:
        raise _Over(nowhere.args[0]) from None


def _look_up(name: bytes, *, is_relay: bool) -> "list[Preferred]":
    """Ask the name servers of this host.  Raises Nowhere."""
    import asyncio

    from paperpath.dns.resolver import Resolver, system_servers
    from paperpath.inject import qmail_remote_dns as dns
    from paperpath.inject import qmail_remote_hosts as hosts

    if not name:
        raise hosts.Nowhere(hosts.no_such_host(name))
    resolver = Resolver(system_servers(), clock.monotonic)
    return asyncio.run(dns.addresses(resolver, name) if is_relay else dns.exchangers(resolver, name))


def _own() -> frozenset[str]:
    from paperpath.system.addresses import own_ipv4_addresses

    return own_ipv4_addresses() | {"0.0.0.0"}  # noqa: S104 (nothing is bound to it)


def _connect(table: Table, address: str, port: int, seconds: int) -> socket.socket | None:
    """Return a connection, None where there is none to this address now.  Raises _Over."""
    packed = socket.inet_aton(address)
    if table.is_avoided(packed, int(clock.now()), os.getpid()):
        return None
    try:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        raise _Over(_NO_RESOURCES) from None
    made.settimeout(seconds)
    try:
        made.connect((address, port))
    except OSError as error:
        table.note(packed, int(clock.now()), timed_out=isinstance(error, TimeoutError))
        made.close()
        return None
    table.note(packed, int(clock.now()), timed_out=False)
    return made


def _converse(connection: socket.socket, dialogue: Dialogue) -> bytes:
    try:
        while dialogue.step is not Step.OVER:
            if dialogue.step is Step.CONTENT:
                _send_content(connection, dialogue)
            elif data := connection.recv(_READ_BYTES):
                dialogue.feed(data)
            else:
                dialogue.lost()
            if output := dialogue.take_output():
                connection.sendall(output)
    except OSError:
        if dialogue.step is not Step.OVER:  # nobody waits for what becomes of QUIT
            dialogue.lost()
    return dialogue.report


def _send_content(connection: socket.socket, dialogue: Dialogue) -> None:
    """Send the message as far as it can be read.  Raises OSError where it cannot be sent."""
    encoder, end = DataEncoder(), b"\n"
    while True:
        try:
            piece = os.read(0, _READ_BYTES)
        except OSError:
            dialogue.give_up(UNREADABLE)
            return
        if not piece:
            break
        end = piece[-1:]
        connection.sendall(encoder.feed(piece))
    if end != b"\n":
        dialogue.give_up(PARTIAL_LINE)
    else:
        dialogue.content_sent()


def _time_limit(seconds: int) -> int:
    return min(max(seconds, 1), _LONGEST_S)
