"""A blocking shell around the SMTP client machine: one message, one connection."""

import socket

from paperpath.base.outcome import Outcome
from paperpath.cli.faults import TemporaryFault
from paperpath.config.endpoints import Tcp, Unix
from paperpath.protocol.smtp_client import SmtpClient
from paperpath.protocol.smtp_client_events import LIMITS, Event, Finished, Phase, Ready, Refused, Transaction

_CONNECT_TIMEOUT_S = 10.0
_READ_BYTES = 64 * 1024


def deliver(server: Tcp | Unix, helo: str, transaction: Transaction) -> tuple[Outcome, ...]:
    """Hand one message to a server, in clear; return one outcome for each recipient.

    Raises TemporaryFault where nobody listens there.
    """
    with connect(server) as sock:
        return _Conversation(sock, helo, str(server), transaction).run()


def connect(server: Tcp | Unix) -> socket.socket:
    """Return a connected socket.  Raises TemporaryFault where nobody listens there."""
    try:
        if isinstance(server, Tcp):
            return socket.create_connection((server.host, server.port), timeout=_CONNECT_TIMEOUT_S)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(server.path)
        except BaseException:
            sock.close()
            raise
        return sock
    except OSError as error:
        why = error.strerror or str(error)
        raise TemporaryFault(
            f"cannot connect to {server}: {why}; does the server run? --server names another"
        ) from None


class _Conversation:
    """One transaction on one connection."""

    def __init__(self, sock: socket.socket, helo: str, host: str, transaction: Transaction) -> None:
        self._sock = sock
        self._transaction = transaction
        self._machine = SmtpClient(helo, host, want_tls=False)
        self._outcomes: tuple[Outcome, ...] = ()

    def run(self) -> tuple[Outcome, ...]:
        """Talk until the connection is over; return the outcomes."""
        while self._machine.phase is not Phase.CLOSED:
            try:
                self._sock.sendall(self._machine.take_output())
                self._sock.settimeout(LIMITS[self._machine.phase].seconds)
                data = self._sock.recv(_READ_BYTES)
                self._handle(self._machine.receive(data) if data else self._machine.lost("connection lost"))
            except TimeoutError:
                self._handle(self._machine.lost("timed out"))
            except OSError as error:
                self._handle(self._machine.lost(error.strerror or "connection lost"))
        return self._outcomes

    def _handle(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Ready():
                    self._handle(self._machine.begin(self._transaction))
                case Finished():
                    self._outcomes = event.outcomes
                    if self._machine.phase is Phase.READY:
                        self._machine.quit()
                case Refused():
                    self._outcomes = (event.outcome,) * len(self._transaction.recipients)
                case _:  # TLS was not asked for, and the content came with the transaction
                    pass
