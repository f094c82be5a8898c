"""The shell around a machine that speaks with a client: events in order, the way to TLS, and the end.

The machine says what comes next; who derives from this says yes or no, and has the words.
"""

import ssl
from asyncio import Transport
from collections import deque
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from paperpath.process.paced import Against, Paced
from paperpath.process.upgrade import Upgrade
from paperpath.system.tls import TlsDetails, details


class OpenSessions(Protocol):
    """All sessions of the process, as far as one has to do with them."""

    def is_to_end(self, session: Any, /) -> bool:
        """Tell whether a session has to end now because the process does."""


class Conversation(Paced):
    """One connection from its greeting to its end; events of the machine go to ``_handlers``."""

    __slots__ = ("_events", "_handling", "_input_ended", "_is_over", "_sessions", "_upgrade", "result", "tls")

    _sessions: OpenSessions
    _handlers: ClassVar[Mapping[type[Any], Any]]
    """What is done about each event: functions of the class that has them."""

    def __init__(self) -> None:
        super().__init__()
        self._events: deque[Any] = deque()
        self._handling = self._input_ended = self._is_over = False
        self._upgrade: Upgrade | None = None
        self.tls: TlsDetails | None = None
        """What the handshake agreed on; None in clear."""
        self.result = "closed"
        """How it ended, for the log."""

    # What each protocol does in its own words.

    @property
    def waits_for_us(self) -> bool:
        """Whether it is our turn to say something."""
        raise NotImplementedError

    def flush(self) -> None:
        """Write what the machine has said."""
        raise NotImplementedError

    def _broken(self, error: Exception) -> None:
        """A defect of ours: log it, and let the machine end with what words there are for that."""
        raise NotImplementedError

    def _stop(self) -> None:
        """End the session because the process is to end."""
        raise NotImplementedError

    def _started_over(self) -> None:
        """The handshake is done: what was said in clear counts no more."""
        raise NotImplementedError

    def _ended(self, error: Exception | None) -> None:
        """Let go of everything, and write the session's one line."""
        raise NotImplementedError

    # The end

    def eof_received(self) -> bool:
        """The client will send nothing more; True keeps the connection until what it asked is answered.

        TLS cannot be half open.
        """
        self._input_ended = True
        return self.waits_for_us and self.tls is None

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is over."""
        if self._is_over:  # a handshake that failed said so already
            return
        self._is_over = True
        if self._upgrade is not None:
            self._upgrade.cancel()
        self._forget_timer()
        self._ended(error)
        self._upgrade = None  # the two hold each other, and would wait for the collector

    def _breaks_off_handshake(self) -> bool:
        """End it without a word where a handshake is under way, for nothing can be said then; tell whether it was."""
        upgrade, self._upgrade = self._upgrade, None
        if upgrade is None:
            return False
        upgrade.cancel()
        self.connection_lost(None)
        return True

    # TLS

    def _secure(self, context: ssl.SSLContext, early: bytes | None = None) -> None:
        self._upgrade = Upgrade(self, context, self._secured, self._tls_failed)
        self._stop_reading(Against.SECURING)
        self._upgrade.begin(self._transport, early)

    def _secured(self, transport: Transport, data: bytes) -> None:
        self._transport, self._upgrade = transport, None
        self._against = 0  # the new transport has a buffer of its own
        self.tls = details(transport)
        self._started_over()
        if data:
            self.data_received(data)

    def _tls_failed(self, reason: str) -> None:
        self.connection_lost(ConnectionError(reason))

    # Events

    def _handle_all(self, events: list[Any]) -> None:
        """Handle events, in order; those that handling one brings come last."""
        waiting, handlers = self._events, self._handlers
        waiting.extend(events)
        self._handling = True
        try:
            while waiting:
                event = waiting.popleft()
                handlers[type(event)](self, event)
        except Exception as error:  # a defect of ours ends this session, and nothing else
            waiting.clear()
            self.result = "error"
            self._broken(error)
            self.flush()
            self._transport.close()
        finally:
            self._handling = False
        self.flush()

    def go_on(self, events: list[Any]) -> None:
        """Handle what an answer brought; one that came while events are handled waits for its turn."""
        if self._handling:
            self._events.extend(events)
        else:
            self._go_on_later(events)

    def _go_on_later(self, events: list[Any]) -> None:
        """Handle what an answer brought that had to be waited for, and do what waited with the client."""
        self._handle_all(events)
        if self.waits_for_us or self._transport.is_closing():
            return
        if self._input_ended:
            self._transport.close()
        elif self._sessions.is_to_end(self):
            self._stop()
        else:
            self._read_again(Against.BEHIND)
