"""The SMTP server machine (RFC 5321), without I/O: bytes from the client in, events and replies out.

Purpose: everything about order, syntax and content framing of a session is decided here; who may send what to whom,
and whether it is stored, is asked for with a question and answered by the shell.

Guarantees.  Replies come in the order of the commands.  While a question is open nothing else happens and input
waits.  No command is ever read out of content: end of data is CR LF . CR LF only, a chunk is exactly its octets, and
where it is not certain what is content (input sent on behind a refused DATA, a BDAT without a readable size) the
session ends.  After `Closing` nothing happens any more.  Apart from that one rule for refused DATA, which looks at
what lies in the buffer, the events do not depend on how the input was cut.  Memory is bounded by the largest input,
one command line and the recipients.

Strategy: `_STEPS` says for each state and each command which function proceeds; what a state does not allow is in the
same table as a function that refuses.  A step reads its argument with `smtp_commands`, then refuses or asks.
LMTP (RFC 2033) is a table made from that one: LHLO for EHLO and HELO, and `_owed` replies to content instead of one.

Left to others: deadlines, what a recipient's refusals mean for the session, and pausing a client that sends on while
a question is open (`buffered_bytes` tells).
"""

from collections.abc import Callable
from typing import Any, Final

from paperpath.base.limits import DOMAIN_BYTES, ENVELOPE_MOST_BYTES
from paperpath.base.reply import Reply
from paperpath.protocol import smtp_auth
from paperpath.protocol.smtp_commands import bytes_of, parse_mail, parse_rcpt
from paperpath.protocol.smtp_config import ServerConfig
from paperpath.protocol.smtp_content import ContentFraming
from paperpath.protocol.smtp_conversation import line_most_bytes
from paperpath.protocol.smtp_events import (
    AuthCancelled,
    AuthGiven,
    AuthResponse,
    ClientTold,
    Closing,
    ContentEnd,
    ContentPart,
    ContentStart,
    Event,
    Question,
    RecipientGiven,
    Refusal,
    SenderGiven,
    TlsBegins,
    TransactionDropped,
)
from paperpath.protocol.smtp_refusals import (
    HELLO_SYNTAX,
    IN_CHUNKS,
    LHLO_FIRST,
    MAIL_FIRST,
    MAIL_NESTED,
    NO_LMTP_RECIPIENTS,
    NO_RECIPIENTS,
    NOT_IMPLEMENTED,
    R214_HELP,
    R250_FLUSHED,
    R250_OK,
    R252_VRFY,
    R354_START_INPUT,
    TOO_MANY_RECIPIENTS,
    UNKNOWN_COMMAND,
)
from paperpath.protocol.smtp_security import start_tls, take_client
from paperpath.protocol.smtp_states import State
from paperpath.protocol.smtp_steps import (
    KNOWN_VERBS,
    ONLY_BETWEEN,
    Step,
    other_protocol,
    refusing,
    refusing_chunk,
    refusing_data,
    saying,
)

__all__ = [
    "R354_START_INPUT",
    "AuthCancelled",
    "AuthGiven",
    "AuthResponse",
    "ClientTold",
    "Closing",
    "ContentEnd",
    "ContentPart",
    "ContentStart",
    "Event",
    "Question",
    "RecipientGiven",
    "Refusal",
    "SenderGiven",
    "ServerConfig",
    "ServerSession",
    "State",
    "TlsBegins",
    "TransactionDropped",
]


# Members as plain names: the machine compares them several times a command.
_IDLE: Final = State.IDLE
_MAIL: Final = State.MAIL
_RCPT: Final = State.RCPT
_DATA: Final = State.DATA
_CHUNK: Final = State.CHUNK
_CLOSED: Final = State.CLOSED
_SECURING: Final = State.SECURING


class ServerSession(ContentFraming):
    """One session.  Feed it with `receive`, answer its questions, write what `take_output` returns."""

    __slots__ = ("_steps", "esmtp", "helo", "in_exchange")

    def __init__(self, config: ServerConfig) -> None:
        super().__init__(config)
        self.helo = b""
        """What the client called itself, unverified; empty before EHLO or HELO."""
        self.esmtp = False
        self.in_exchange = False
        """Lines are responses to AUTH's challenges, not commands."""
        self._steps = _LMTP_STEPS if config.lmtp else _STEPS

    # What the shell calls, besides `take_output`.

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the client.  Returns nothing while a question is open, and after `Closing`."""
        self.bytes_in += len(data)
        if self.is_closed or self.state is _SECURING:
            return []
        if self._buffer:
            data = self._buffer[self._at :] + data
        self._buffer = data
        self._at = 0
        return self._run() if self.question is None else []

    def answer(self, reply: Reply) -> list[Event]:
        """Answer the open question and go on with what waits.  421 ends the session (RFC 5321 3.8).

        An answer that comes after `Closing` is ignored: `abort` may have overtaken it.  Raises RuntimeError where no
        question is open.
        """
        if self.is_closed:
            return []
        question = self.question
        if question is None:
            raise RuntimeError("answer() without an open question")
        if reply.code >= 400:
            self.refused += 1
            if reply.code == 421:
                return self.abort(reply)
        self.question = None
        _PROCEED[type(question)](self, question, reply)
        return self._run()

    def abort(self, reply: Reply) -> list[Event]:
        """End the session from outside (a deadline, a shutdown): queue the reply, drop the transaction, close."""
        self._hang_up(reply, reply.lines[0])
        return self._take_events()

    def start_over(self, config: ServerConfig, *, secure: bool) -> None:
        """Begin anew under other settings: TLS is there, or somebody else is (RFC 3207 4.2).

        What the client said of itself is forgotten, and so is a transaction; input that waits is kept, but none is
        there after `TlsBegins`.
        """
        self.use(config)
        self.secure = secure
        self.authenticated_at = 0
        self.in_exchange = False
        self.helo = b""
        self.esmtp = False
        self._faults = 0
        self._abandon_transaction()

    def use(self, config: ServerConfig) -> None:
        """Go on under other settings."""
        self.config = config
        self._line_most = line_most_bytes(config)

    # The loop.

    def _run(self) -> list[Event]:
        # A chunk may end without any more input: it may have no octets.
        while self.question is None and (self._buffer or self.state is _CHUNK):
            state = self.state
            if state < _DATA:
                progress = self._take_line()
            elif state is _DATA:
                progress = self._take_data()
            else:
                progress = self._take_chunk()
            if not progress:
                break
        return self._take_events()

    def _execute(self, line: bytes) -> None:
        if self.in_exchange:
            smtp_auth.take_response(self, line)
            return
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        step = self._steps[self.state].get(verb)
        if step is not None:
            step(self, argument.strip())
        else:
            self._refuse_unreadable(line, NOT_IMPLEMENTED if verb in KNOWN_VERBS else UNKNOWN_COMMAND)

    def _refuse_unreadable(self, line: bytes, refusal: Refusal) -> None:
        if self.in_exchange:
            smtp_auth.cancel(self, smtp_auth.TOO_LONG)
        else:
            super()._refuse_unreadable(line, refusal)

    def _login_answered(self, given: AuthGiven | AuthResponse, reply: Reply) -> None:
        self._output.append(reply.encode())
        self.in_exchange = reply.code == 334
        if reply.is_positive:
            self._faults = 0

    def _close(self, reason: str) -> None:
        super()._close(reason)
        self.state = _CLOSED
        self._data = None
        self._chunks = None

    def _wait_for_tls(self, output: bytes, event: TlsBegins) -> None:
        self._output.append(output)
        self._buffer = b""
        self._at = 0
        self.state = _SECURING
        self._events.append(event)

    # Steps: one for each command, named in _STEPS.

    def _helo(self, argument: bytes) -> None:
        self._greet(argument, False)

    def _ehlo(self, argument: bytes) -> None:
        self._greet(argument, True)

    def _greet(self, domain: bytes, esmtp: bool) -> None:
        """RFC 5321 4.1.1.1, 4.1.4: any time, and as RSET.  The domain is believed to be nothing but a label."""
        if not 0 < len(domain) <= DOMAIN_BYTES:
            self._refuse(HELLO_SYNTAX)
            return
        self._abandon_transaction()
        self.helo = domain
        self.esmtp = esmtp
        config = self.config
        self._output.append(config.ehlo(self.secure, self.authenticated_at) if esmtp else config.helo_reply)

    def _mail(self, argument: bytes) -> None:
        given = parse_mail(
            argument,
            self.config.message_size_bytes,
            secure=self.secure,
            authenticated=self.authenticated_at > 0,
        )
        if isinstance(given, Refusal):
            self._refuse(given)
        else:
            self._ask(given)

    def _sender_answered(self, given: SenderGiven, reply: Reply) -> None:
        self._output.append(reply.encode())
        if reply.is_positive:
            self._faults = 0
            self.state = _MAIL
            self.sender = given.address
            self.smtputf8 = given.smtputf8
            self.asked = given.asked

    def _rcpt(self, argument: bytes) -> None:
        given = parse_rcpt(argument, self.smtputf8)
        if isinstance(given, Refusal):
            self._refuse(given)
        elif len(self.recipients) >= self.config.recipients_most or (
            self._envelope_bytes + bytes_of(given) > ENVELOPE_MOST_BYTES
        ):
            self._refuse(TOO_MANY_RECIPIENTS)
        else:
            self._ask(given)

    def _recipient_answered(self, given: RecipientGiven, reply: Reply) -> None:
        self._output.append(reply.encode())
        if reply.is_positive:
            self._faults = self._pointless = 0
            self.state = _RCPT
            self._envelope_bytes += bytes_of(given)
            if given.terms is not None:
                self.recipient_terms[len(self.recipients)] = given.terms
            self.recipients.append(given.address)

    def _reset(self, argument: bytes) -> None:
        self._abandon_transaction()
        self._output.append(R250_FLUSHED.encode())

    def _abandon_transaction(self) -> None:
        self._drop_transaction()
        self._chunks = None
        self.state = _IDLE

    def _quit(self, argument: bytes) -> None:
        self._output.append(self.config.quit_reply)
        self._close("quit")

    def _client_answered(self, told: ClientTold, reply: Reply) -> None:
        if not reply.is_positive:
            self._output.append(reply.encode())
            return
        self._output.append(self.config.greeting)
        if told.helo is not None:
            self.helo = told.helo
            self.esmtp = told.esmtp


# A browser made to speak to us, or whoever looks for an open proxy: what follows are headers, and perhaps mail.
_WEB: Final = dict.fromkeys((b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"CONNECT"), other_protocol)

_ANYWHERE: Final[dict[bytes, Step]] = {
    b"HELO": ServerSession._helo,
    b"EHLO": ServerSession._ehlo,
    b"RSET": ServerSession._reset,
    b"NOOP": saying(R250_OK),
    b"VRFY": saying(R252_VRFY),
    b"HELP": saying(R214_HELP),
    b"QUIT": ServerSession._quit,
    **_WEB,
}

# State and command to what happens.  A command that is in no row is unknown.  MAIL needs no EHLO, as in qmail.
_STEPS: Final[dict[State, dict[bytes, Step]]] = {
    State.IDLE: _ANYWHERE
    | {
        b"MAIL": ServerSession._mail,
        b"STARTTLS": start_tls,
        b"XCLIENT": take_client,
        b"AUTH": smtp_auth.authenticate,
        b"RCPT": refusing(MAIL_FIRST),
        b"DATA": refusing_data(MAIL_FIRST),
        b"BDAT": refusing_chunk(MAIL_FIRST),
    },
    State.MAIL: _ANYWHERE
    | ONLY_BETWEEN
    | {
        b"MAIL": refusing(MAIL_NESTED),
        b"RCPT": ServerSession._rcpt,
        b"DATA": refusing_data(NO_RECIPIENTS),
        b"BDAT": refusing_chunk(NO_RECIPIENTS),
    },
    State.RCPT: _ANYWHERE
    | ONLY_BETWEEN
    | {
        b"MAIL": refusing(MAIL_NESTED),
        b"RCPT": ServerSession._rcpt,
        b"DATA": ServerSession._start_data,
        b"BDAT": ServerSession._first_chunk,
    },
    State.CHUNKS: _ANYWHERE
    | ONLY_BETWEEN
    | {
        b"MAIL": refusing(MAIL_NESTED),
        b"RCPT": refusing(IN_CHUNKS),
        b"DATA": refusing_data(IN_CHUNKS),
        b"BDAT": ServerSession._next_chunk,
    },
}


def _lmtp_steps(row: dict[bytes, Step], *, has_no_recipients: bool) -> dict[bytes, Step]:
    """RFC 2033 4.1, 4.2: what LMTP does otherwise than SMTP."""
    steps = row | {
        b"LHLO": ServerSession._ehlo,
        b"EHLO": refusing(LHLO_FIRST),
        b"HELO": refusing(LHLO_FIRST),
    }
    if has_no_recipients:
        steps[b"DATA"] = refusing_data(NO_LMTP_RECIPIENTS)
        steps[b"BDAT"] = refusing_chunk(NO_LMTP_RECIPIENTS)
    return steps


_LMTP_STEPS: Final = {state: _lmtp_steps(row, has_no_recipients=state is State.MAIL) for state, row in _STEPS.items()}

_PROCEED: Final[dict[type[Question], Callable[[ServerSession, Any, Reply], None]]] = {
    SenderGiven: ServerSession._sender_answered,
    RecipientGiven: ServerSession._recipient_answered,
    ContentStart: ServerSession._content_answered,
    ContentEnd: ServerSession._end_answered,
    ClientTold: ServerSession._client_answered,
    AuthGiven: ServerSession._login_answered,
    AuthResponse: ServerSession._login_answered,
}
