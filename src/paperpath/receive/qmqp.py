"""Connections that bring one message each in QMQP's form (qmail-interfaces 14.3): from programs of this host, and from
hosts that keep no queue of their own.

Anybody on this host may connect to the first; who it is says the kernel (SO_PEERCRED).  The second is for listed
networks only: who may talk QMQP may send as anybody to everywhere.
"""

import asyncio
from typing import Any

from paperpath.base.reply import Reply
from paperpath.base.text import describe
from paperpath.protocol.qmqp import answer as encode
from paperpath.receive import words
from paperpath.receive.arrival import arrive
from paperpath.receive.parcel import Answer, Bringer, Parcel, program
from paperpath.receive.service import Service, uid_of
from paperpath.receive.sessions import Sessions
from paperpath.telemetry.events import ProcessBroken, SessionClosed

_TRY_LATER = Answer("Z", "Too many sessions, or the service is stopping; try again later (#4.3.2)")


class QmqpSession(asyncio.Protocol):
    """One connection of another host."""

    __slots__ = (
        "_bringer",
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
        self._bringer, last = self._arrive()
        self._parcel = Parcel(self._service, self._bringer, self._answer)
        if last is not None:
            self.result = "refused"
            self._answer(last)

    def _arrive(self) -> tuple[Bringer, Answer | None]:
        """Return who it is, and what is said at once where there is no place for it."""
        arrival = arrive(self._service, "qmqp", self._sessions, self, self._transport)
        bringer = Bringer("qmqp", arrival.peer, self._service.settings.message_size_bytes)
        # A stranger hears nothing: a client that is only missing in the settings tries again.
        return bringer, None if arrival.refusal is None else Answer("", words.refused(arrival.refusal))

    def data_received(self, data: bytes) -> None:
        """Feed the parcel."""
        self.last_input = self._sessions.time()
        self._bytes_in += len(data)
        if self._sent is not None:
            return
        try:
            self._parcel.receive(data)
        except Exception as error:  # a defect of ours ends this session, and nothing else
            self._service.log.emit(ProcessBroken(where=self._bringer.service, error=describe(error)))
            self._transport.abort()

    def eof_received(self) -> bool:
        """The program will send nothing more; what it asked is answered all the same."""
        return self.waits_for_us

    def connection_lost(self, error: Exception | None) -> None:
        """Write the session's one line."""
        self._sessions.discard(self)
        self._parcel.drop()
        if self.result == "refused":  # those are told together
            return
        sent = self._sent
        is_accepted = sent is not None and sent.letter == "K"
        self._service.log.emit(
            SessionClosed(
                service=self._bringer.service,
                peer=self._bringer.peer,
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

    sends_content = False

    @property
    def is_idle(self) -> bool:
        """Whether ending the session now would interrupt nothing."""
        return not self._bytes_in

    @property
    def has_brought(self) -> bool:
        """Whether a message was accepted in it: then it is over, and never idle."""
        return False

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


class InjectionSession(QmqpSession):
    """One connection of a program of this host."""

    __slots__ = ()

    def _arrive(self) -> tuple[Bringer, Answer | None]:
        bringer = program(self._service, uid_of(self._transport))
        return bringer, None if self._sessions.add(self) else _TRY_LATER
