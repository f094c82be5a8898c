"""The lower half of the SMTP client: one connection from its greeting to its end, replies in and commands out.

A reply to a command that was not sent yet is never believed: a server that talks ahead of us (or somebody on the line,
before TLS) ends the connection.  RFC 5321 4.2.4.2: 421 may come at any point.

`smtp_client` adds transactions.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from paperpath.base.outcome import Deferred
from paperpath.protocol.smtp_client_events import (
    CONNECTION_LOST,
    HANDSHAKE,
    LIMITS,
    PROTOCOL_ERROR,
    TRANSACTION,
    Capabilities,
    Event,
    Phase,
    Ready,
    Refused,
    Upgrade,
)
from paperpath.protocol.smtp_client_grammar import parse_capabilities
from paperpath.protocol.smtp_replies import PeerReply, ReplyError, ReplyReader


class ClientConversation(ABC):
    """Commands, replies and phases; how a connection ends."""

    __slots__ = (
        "_capabilities",
        "_helo",
        "_lmtp",
        "_output",
        "_reader",
        "_replies",
        "_secure",
        "_want_tls",
        "host",
        "phase",
        "steps",
    )

    _handlers: ClassVar[Mapping[Phase, Callable[[Any, PeerReply, list[Event]], None]]]
    """What is done with a reply in each phase: functions of the class that has them."""

    def __init__(self, helo: str, host: str, *, want_tls: bool, lmtp: bool = False) -> None:
        self._helo = helo.encode()
        self._lmtp = lmtp
        self.host = host
        self._want_tls = want_tls
        self._reader = ReplyReader()
        self._output: list[bytes] = []
        self._capabilities = Capabilities()
        self._secure = False
        self._replies = 0  # to the transaction, what was not understood included
        self.phase = Phase.GREETING
        self.steps = 0
        """Counts replies and turns: the phase's clock starts again when it changes."""

    @property
    def capabilities(self) -> Capabilities:
        """What the server offered last."""
        return self._capabilities

    @property
    def is_secure(self) -> bool:
        """Whether TLS is in use."""
        return self._secure

    def connected(self) -> list[Event]:
        """The connection is there; the server speaks first."""
        return []

    def take_output(self) -> bytes:
        """Return what is to be sent, once."""
        if not self._output:
            return b""
        data = self._output[0] if len(self._output) == 1 else b"".join(self._output)
        self._output.clear()
        return data

    def receive(self, data: bytes) -> list[Event]:
        """Take what arrived; return what follows from it.  After the connection is over, bytes are ignored."""
        events: list[Event] = []
        reader = self._reader
        reader.add(data)
        while self.phase is not Phase.CLOSED:
            try:
                reply = reader.next()
            except ReplyError as error:
                self._broken(f"not understood while waiting for {LIMITS[self.phase].words}: {error}", events)
                break
            if reply is None:
                break
            self.steps += 1
            self._take(reply, events)
        return events

    def tls_started(self) -> None:
        """The TLS handshake is done: what the server said in clear is forgotten (RFC 3207 4.2)."""
        assert self.phase is Phase.UPGRADING
        self._capabilities = Capabilities()
        self._want_tls = False
        self._secure = True
        self._say_ehlo()

    def quit(self) -> None:
        """Say goodbye; the phase must be READY."""
        assert self.phase is Phase.READY
        self._output.append(b"QUIT\r\n")
        self._to(Phase.QUIT)

    def lost(self, how: str) -> list[Event]:
        """The connection is over; ``how`` says what happened (``connection lost``, ``timed out``)."""
        events: list[Event] = []
        if self.phase is not Phase.CLOSED:
            note = "; possible duplicate" if self.phase is Phase.END_OF_DATA else ""
            self._end(f"{how} while waiting for {LIMITS[self.phase].words}{note}", CONNECTION_LOST, events)
        return events

    def _to(self, phase: Phase) -> None:
        self.phase = phase
        self.steps += 1

    def _take(self, reply: PeerReply, events: list[Event]) -> None:
        if reply.code == 421:
            self._end(reply.text(), reply.enhanced() or "3.2", events)  # RFC 3463 3.4: not accepting messages
        elif self._output:
            self._broken("a reply came before its command was sent", events)
        else:
            self._handlers[self.phase](self, reply, events)

    def _broken(self, why: str, events: list[Event]) -> None:
        """The server does not keep to the protocol: the connection is over."""
        note = "; possible duplicate" if self.phase is Phase.END_OF_DATA else ""
        self._replies += 1
        self._end(why + note, PROTOCOL_ERROR, events)

    def _unexpected(self, reply: PeerReply, events: list[Event]) -> None:
        self._broken(f"unexpected while waiting for {LIMITS[self.phase].words}: {reply.text()}", events)

    def _end(self, why: str, code: str, events: list[Event]) -> None:
        """The connection is over."""
        phase, self.phase = self.phase, Phase.CLOSED
        self._output.clear()
        deferred = Deferred(why, self.host, code)
        if phase in HANDSHAKE:
            events.append(Refused(deferred))
        elif phase in TRANSACTION:
            self._transaction_cut(deferred, events)

    @abstractmethod
    def _transaction_cut(self, deferred: Deferred, events: list[Event]) -> None:
        """The connection ended within a transaction: what is undecided is deferred."""

    # Greeting, EHLO, STARTTLS, and goodbye.

    def _on_greeting(self, reply: PeerReply, events: list[Event]) -> None:
        if reply.kind == 2:
            self._say_ehlo()
        else:
            self._refuse(reply, events)

    def _say_ehlo(self) -> None:
        self._output.append(b"%b %b\r\n" % (b"LHLO" if self._lmtp else b"EHLO", self._helo))
        self._to(Phase.EHLO)

    def _on_ehlo(self, reply: PeerReply, events: list[Event]) -> None:
        if reply.kind == 2:
            self._capabilities = parse_capabilities(reply)
            if self._want_tls and self._capabilities.starttls:
                self._output.append(b"STARTTLS\r\n")
                self._to(Phase.STARTTLS)
            else:
                self._be_ready(events)
        elif reply.kind == 5 and not self._lmtp:
            self._output.append(b"HELO %b\r\n" % self._helo)
            self._to(Phase.HELO)
        else:
            self._refuse(reply, events)

    def _on_helo(self, reply: PeerReply, events: list[Event]) -> None:
        if reply.kind == 2:
            self._be_ready(events)
        else:
            self._refuse(reply, events)

    def _on_starttls(self, reply: PeerReply, events: list[Event]) -> None:
        if reply.kind == 2 and self._reader.idle:
            self._to(Phase.UPGRADING)
            events.append(Upgrade())
        elif reply.kind == 2:
            # RFC 3207 4.2: bytes in clear behind the 220 would be taken for replies that came over TLS.
            self._broken("bytes in clear after the reply to STARTTLS", events)
        else:
            self._be_ready(events)

    def _be_ready(self, events: list[Event]) -> None:
        self._to(Phase.READY)
        events.append(Ready())

    def _refuse(self, reply: PeerReply, events: list[Event]) -> None:
        note = f" (in place of {LIMITS[self.phase].words})"
        self._end(reply.text(note), reply.enhanced() or "3.2", events)

    def _on_quit(self, _reply: PeerReply, _events: list[Event]) -> None:
        self._to(Phase.CLOSED)
