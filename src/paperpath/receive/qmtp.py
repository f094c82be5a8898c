"""One QMTP session: the shell around `protocol.qmtp`.

Who may send where is what it is in SMTP; only the words differ.  A package is answered when what its recipients have in
common is durable: those that were refused before get their own answers, all others the queue's.
"""

from typing import Any

from paperpath.base.limits import ADDRESS_MOST_BYTES, ENVELOPE_MOST_BYTES
from paperpath.base.reply import Reply
from paperpath.base.text import describe, show
from paperpath.message.trace import received_line
from paperpath.process.conversation import Conversation
from paperpath.process.paced import Against
from paperpath.protocol.qmtp import Malformed, Package, QmtpServer
from paperpath.receive import replies, words
from paperpath.receive.arrival import arrive
from paperpath.receive.content import Content
from paperpath.receive.recipients import Recipients, Verdict
from paperpath.receive.service import Service
from paperpath.receive.sessions import Sessions
from paperpath.system.clock import now
from paperpath.telemetry.events import MessageRefused, ProcessBroken, SessionClosed
from paperpath.wire.guard import Offence
from paperpath.wire.intake import Accepted

_BUFFERED_MOST_BYTES = 64 * 1024
"""Input that waits behind a package before reading stops."""

_ENVELOPE_RESERVE_BYTES = 8
"""What a length, its colon and a comma add to an address in a list."""

_BAD_SENDER = Verdict(words.SENDER_MALFORMED, "the sender cannot be an address")
_BAD_RECIPIENT = Verdict(words.RECIPIENT_MALFORMED, "the recipient cannot be an address")
_TOO_LARGE = Verdict(words.TOO_LARGE, "message too big")
_ENOUGH = Verdict(replies.ENOUGH_MESSAGES, "as many as [limits] allows")
_TOO_MANY = Verdict(replies.TOO_MANY_MESSAGES, "as many as [limits] allows")
_GUESSING = Verdict(replies.TOO_MANY_UNKNOWN, "too many recipients that do not exist")


class QmtpSession(Conversation):
    """One connection."""

    __slots__ = (
        "_content",
        "_is_looking",
        "_judge",
        "_machine",
        "_messages",
        "_peer",
        "_progress_at",
        "_recipients",
        "_refused",
        "_relay",
        "_service",
        "_standing",
        "_started",
        "_verdicts",
        "last_input",
    )  # fmt: skip

    _sessions: Sessions

    def __init__(self, service: Service, sessions: Sessions) -> None:
        super().__init__()
        self._service, self._sessions = service, sessions
        self._content: Content | None = None
        self._verdicts: list[Verdict] = []
        self._is_looking = False
        self._messages = self._recipients = self._refused = 0
        self._progress_at = service.settings.limits.progress_bytes

    # The connection

    def connection_made(self, transport: Any) -> None:
        """Find out who it is; who has no place here is hung up on, since nothing can be said before a package."""
        self._transport = transport
        self._started = self.last_input = self._sessions.time()
        arrival = arrive(self._service, "qmtp", self._sessions, self, transport)
        self._peer, self._relay, self._standing = arrival.peer, arrival.relay, arrival.standing
        self._judge = Recipients(self._service, self._peer, self._standing)
        settings = self._service.settings
        recipients = settings.relay_recipients_most if self._relay else settings.recipients_most
        self._machine = QmtpServer(
            message_most_bytes=settings.message_size_bytes,
            recipients_most=recipients,
            envelope_most_bytes=min(ENVELOPE_MOST_BYTES, recipients * (ADDRESS_MOST_BYTES + _ENVELOPE_RESERVE_BYTES)),
            address_most_bytes=ADDRESS_MOST_BYTES,
        )
        if arrival.refusal is not None:
            self.end(arrival.refusal, "refused")

    def data_received(self, data: bytes) -> None:
        """Feed the machine."""
        machine = self._machine
        self._handle_all(machine.receive(data))
        if machine.bytes_in >= self._progress_at:
            self._progress_at = machine.bytes_in + self._service.settings.limits.progress_bytes
            self.last_input = self._sessions.time()
        if machine.package is not None:
            if machine.buffered_bytes > _BUFFERED_MOST_BYTES:
                self._stop_reading(Against.BEHIND)
        elif self._sessions.is_to_end(self):
            self._stop()

    def _ended(self, error: Exception | None) -> None:
        self._sessions.discard(self)
        self._forget()
        self._machine.close()
        if self.result != "refused":  # those are told together
            self._log_end(error)

    def _log_end(self, error: Exception | None) -> None:
        self._service.log.emit(
            SessionClosed(
                service="qmtp",
                peer=self._peer,
                helo="",
                messages=self._messages,
                recipients=self._recipients,
                refused=self._refused,
                bytes_in=self._machine.bytes_in,
                duration_s=self._sessions.time() - self._started,
                result=self.result,
                reason=None if error is None else str(error),
            )
        )

    @property
    def is_idle(self) -> bool:
        """Whether ending the session now would interrupt no package."""
        return self._machine.is_between

    @property
    def sends_content(self) -> bool:
        """Whether a package is on its way."""
        return not self._machine.is_between and not self.waits_for_us

    @property
    def has_brought(self) -> bool:
        """Whether a message was accepted in it."""
        return self._messages > 0

    @property
    def waits_for_us(self) -> bool:
        """Whether it is our turn to say something."""
        return self._machine.package is not None

    def end(self, _last: Reply, result: str) -> None:
        """End the session; QMTP has no words for it, and a client tries again what it has no answer to."""
        self.result = result
        self._events.clear()
        self._machine.close()
        self.flush()
        self._transport.close()
        if self._against & Against.CHOKED:  # it reads nothing any more, and would hold the connection open with that
            self._transport.abort()

    # Events

    def _broken(self, error: Exception) -> None:
        self._service.log.emit(ProcessBroken(where="session", error=describe(error)))
        self._machine.close()

    def _content_part(self, part: bytes) -> None:
        if self._content is None:
            self._content = Content(self._service)
        self._content.add(part)

    def _hang_up(self, event: Malformed) -> None:
        self._log_refusal(Verdict(words.NOT_UNDERSTOOD, event.reason), None)
        self._standing.offended(Offence.OTHER_PROTOCOL, event.reason)
        self.end(words.NOT_UNDERSTOOD, event.reason)

    def flush(self) -> None:
        """Write what the machine has said, and let a stranger wait that was refused too much."""
        output = self._machine.take_output()
        if output:
            self.last_input = self._sessions.time()
            if not self._transport.is_closing():
                self._transport.write(output)
                if self._standing.is_stranger:
                    self._punish(self._refused, self._service.settings.limits.error_delay_s)

    def _stop(self) -> None:
        self.end(replies.STOPPING, "stopping")

    # A package

    def _begin(self, package: Package) -> None:
        self._verdicts = []
        if self._messages >= self._service.settings.limits.messages_most and self._standing.network:
            self._log_refusal(_ENOUGH, None)
            self._part(_ENOUGH, "enough messages")
            return
        common = self._refusal(package)
        if common is not None:
            self._log_refusal(common, None)
            self._verdicts = [common] * len(package.recipients)
        self._look(package)

    def _refusal(self, package: Package) -> Verdict | None:
        """Return why nobody can have this message, whoever they are."""
        if package.is_too_large:
            return _TOO_LARGE
        if not _is_address(package.sender):
            return _BAD_SENDER
        return _TOO_MANY if self._standing.is_slowed("messages") else None

    def _look(self, package: Package) -> None:
        """Judge recipients one after the other, as far as that needs no waiting."""
        self._is_looking = True
        verdicts, recipients = self._verdicts, package.recipients
        asked = len(verdicts)
        while asked == len(verdicts) < len(recipients) and not self._is_guessing:
            self._judge_one(package, recipients[asked])
            asked += 1
        self._is_looking = False
        if self._is_guessing:
            self._part(_GUESSING, "unknown recipients")
        elif len(verdicts) == len(recipients):
            self._submit(package)

    @property
    def _is_guessing(self) -> bool:
        return self._judge.is_guessing and not self._relay

    def _part(self, last: Verdict, result: str) -> None:
        """Take nothing of this message, as in SMTP, and end the session."""
        package = self._machine.package
        assert package is not None
        self._verdicts += [last] * (len(package.recipients) - len(self._verdicts))
        self._machine.answer(self._answers(last))
        self.end(last.reply, result)

    def _judge_one(self, package: Package, address: bytes | None) -> None:
        if not address or not _is_address(address):
            self._judged(package, _BAD_RECIPIENT)
        else:
            sender = package.sender or b""
            self._judge.judge(sender, address, lambda verdict: self._judged(package, verdict), relay=self._relay)

    def _judged(self, package: Package, verdict: Verdict) -> None:
        if self._machine.package is not package:  # the session has ended meanwhile
            return
        if not verdict.reply.is_positive:
            self._log_refusal(verdict, package.recipients[len(self._verdicts)])
        self._verdicts.append(verdict)
        if not self._is_looking:
            self._look(package)

    def _submit(self, package: Package) -> None:
        welcome = tuple(
            address
            for address, verdict in zip(package.recipients, self._verdicts, strict=True)
            if address and verdict.reply.is_positive
        )
        if not welcome:
            self._answer(_BAD_RECIPIENT)
            return
        content = self._content or Content(self._service)
        self._content = content
        content.submit(
            sender=package.sender or b"",
            recipients=welcome,
            trace=self._trace(welcome),
            origin=f"qmtp {self._peer}",
            on_fate=lambda fate: self._submitted(package, welcome, fate),
        )

    def _trace(self, recipients: tuple[bytes, ...]) -> bytes:
        return received_line(
            helo=b"",
            peer=self._peer,
            peer_name=None,
            hostname=self._service.hostname,
            protocol="QMTP",
            recipient=recipients[0] if len(recipients) == 1 else None,
            now=int(now()),
            tls=None,
        )

    def _submitted(self, package: Package, welcome: tuple[bytes, ...], fate: Accepted | Verdict) -> None:
        if self._machine.package is not package:
            return
        if isinstance(fate, Accepted):
            self._messages += 1
            self._recipients += len(welcome)
            self._standing.took(len(welcome))
        else:
            self._log_refusal(fate, None)
        self._answer(fate)

    def _answer(self, fate: Accepted | Verdict) -> None:
        self._forget()
        self.go_on(self._machine.answer(self._answers(fate)))

    def _answers(self, fate: Accepted | Verdict) -> list[bytes]:
        """Return the answer for each recipient: what was said of it already, else what became of the message."""
        common = words.accepted(fate, int(now())) if isinstance(fate, Accepted) else words.refused(fate.reply)
        answers = [common if verdict.reply.is_positive else words.refused(verdict.reply) for verdict in self._verdicts]
        self._refused += sum(not answer.startswith("K") for answer in answers)
        return [answer.encode() for answer in answers]

    def _forget(self) -> None:
        if self._content is not None:
            self._content.drop()
            self._content = None

    def _log_refusal(self, verdict: Verdict, recipient: bytes | None) -> None:
        package = self._machine.package
        sender = package.sender if package is not None else None
        self._service.log.emit(
            MessageRefused(
                service="qmtp",
                peer=self._peer,
                sender="" if sender is None else show(sender),
                recipient=None if recipient is None else show(recipient),
                code=verdict.reply.code,
                status=verdict.reply.status,
                reason=verdict.reason,
            )
        )


QmtpSession._handlers = {
    bytes: QmtpSession._content_part,
    Package: QmtpSession._begin,
    Malformed: QmtpSession._hang_up,
}


def _is_address(address: bytes | None) -> bool:
    return address is not None and b"\0" not in address
