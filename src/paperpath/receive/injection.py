"""The socket where programs of this host hand in mail: one request a connection, in QMQP's form.

Anybody may connect; who it is says the kernel (SO_PEERCRED).
"""

import asyncio
from typing import Any

from paperpath.base.reply import Reply
from paperpath.base.text import describe
from paperpath.protocol.qmqp import answer as encode
from paperpath.receive.parcel import Answer, Parcel
from paperpath.receive.service import Service, uid_of
from paperpath.receive.sessions import Sessions
from paperpath.telemetry.events import ProcessBroken, SessionClosed

_TRY_LATER = Answer("Z", "Too many sessions, or the service is stopping; try again later (#4.3.2)")


class InjectionSession(asyncio.Protocol):
    """One connection of one program."""

    __slots__ = (
        "_bytes_in",
        "_parcel",
        "_sent",
        "_service",
        "_sessions",
        "_started",
        "_transport",
        "last_input",
        "result",
    )

    def __init__(self, service: Service, sessions: Sessions) -> None:
        self._service, self._sessions = service, sessions
        self._sent: Answer | None = None
        self._bytes_in = 0
        self.result = "closed"

    def connection_made(self, transport: Any) -> None:
        """Learn who it is."""
        self._transport: asyncio.Transport = transport
        self._started = self.last_input = self._sessions.time()
        self._parcel = Parcel(self._service, uid_of(transport), self._answer)
        if not self._sessions.add(self):
            self._answer(_TRY_LATER)

    def data_received(self, data: bytes) -> None:
        """Feed the parcel."""
        self.last_input = self._sessions.time()
        self._bytes_in += len(data)
        if self._sent is not None:
            return
        try:
            self._parcel.receive(data)
        except Exception as error:  # a defect of ours ends this session, and nothing else
            self._service.log.emit(ProcessBroken(where="injection", error=describe(error)))
            self._transport.abort()

    def eof_received(self) -> bool:
        """The program will send nothing more; what it asked is answered all the same."""
        return self.waits_for_us

    def connection_lost(self, error: Exception | None) -> None:
        """Write the session's one line."""
        self._sessions.discard(self)
        self._parcel.drop()
        sent = self._sent
        is_accepted = sent is not None and sent.letter == "K"
        self._service.log.emit(
            SessionClosed(
                service="inject",
                peer=f"local uid {self._parcel.uid}",
                helo="",
                messages=int(is_accepted),
                recipients=sent.recipients if sent is not None else 0,
                refused=int(sent is not None and not is_accepted),
                bytes_in=self._bytes_in,
                duration_s=self._sessions.time() - self._started,
                result=self.result,
                reason=None if sent is None or is_accepted else sent.text,
            )
        )

    @property
    def is_idle(self) -> bool:
        """Whether ending the session now would interrupt nothing."""
        return not self._bytes_in

    @property
    def waits_for_us(self) -> bool:
        """Whether it is our turn to say something."""
        return self._parcel.ended and self._sent is None

    def end(self, _last: Reply, result: str) -> None:
        """End the session; a program that hears nothing tries again, or says so."""
        self.result = result
        self._answer(_TRY_LATER)

    def _answer(self, given: Answer) -> None:
        if self._sent is not None:
            return
        self._sent = given
        if self._transport.is_closing():
            return
        if given.letter:
            self._transport.write(encode(given.letter, given.text))
        self._transport.close()
