"""What is fuzzed: each target takes any bytes and fails where something that must hold for all does not.

The first four bytes of an input steer (where the rest is cut, how questions are answered), so that one input is one
whole story.  What holds for every machine: nothing but its own kind of error is raised, and what it says does not
depend on how its input was cut.
"""

import random
import re
import struct
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Final

from paperpath.base.outcome import Outcome
from paperpath.base.reply import Reply
from paperpath.protocol.netstring import NetstringError, netstring, split
from paperpath.protocol.pop3 import Pop3Session
from paperpath.protocol.proxy import Proxied, ProxyError, ProxyReader
from paperpath.protocol.qmail_smtpd import ADDRESS_MOST_BYTES, HOPS_MOST, Close, End, Open, Put, Server, Terms
from paperpath.protocol.qmail_smtpd import Say as SmtpdSays
from paperpath.protocol.qmqp import QmqpServer
from paperpath.protocol.qmqp import Request as QmqpRequest
from paperpath.protocol.qmtp import EXCESS_MOST, Package, QmtpServer
from paperpath.protocol.sasl import (
    CheckPassword,
    CheckToken,
    Failed,
    FindKeys,
    FindSecrets,
    Mechanism,
    Proven,
    Say,
    Step,
)
from paperpath.protocol.smtp_client import SmtpClient
from paperpath.protocol.smtp_client_data import DataEncoder, encode_data
from paperpath.protocol.smtp_client_events import Finished, Phase, SendContent, Transaction, Upgrade
from paperpath.protocol.smtp_server import Closing, ServerConfig, ServerSession, TransactionDropped
from tests.property.test_local_parsers import addresses, aliases, dotqmail, forward_file
from tests.property.test_sasl_machines import KEYS, NAMES, machine
from tests.property.test_smtp_server import NEGATIVE, PAST_DATA
from tests.transcripts.pop3_story import Mail, config
from tests.transcripts.pop3_story import Shell as Pop3Shell
from tests.transcripts.smtp_shell import POSITIVE, Shell

STEERING_BYTES: Final = 4
_SMTP: Final = ServerConfig(b"mx.test", 1000, 3, xclient=True, xclient_login=True)
_LMTP: Final = ServerConfig(b"mx.test", 1000, 3, lmtp=True)
_MAILS: Final = [Mail(b"one", b"A: b\n\n.x\ny"), Mail(b"two", b"A: b\r\n\r\nx\r\ny\r\n"), Mail(b"three")]


def _steer(data: bytes) -> tuple[int, bytes]:
    return int.from_bytes(data[:STEERING_BYTES], "big"), data[STEERING_BYTES:]


def _cut(data: bytes, seed: int) -> list[bytes]:
    if seed % 4 == 0:
        return [data[at : at + 1] for at in range(len(data))]
    chance = random.Random(seed)
    cuts = sorted(chance.randrange(len(data) + 1) for _ in range(seed % 7))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


# SMTP and LMTP


def _smtp_shell(config: ServerConfig, pieces: list[bytes], seed: int) -> Shell:
    chance = random.Random(seed)
    script: dict[str, deque[Reply]] = defaultdict(deque)
    for kind in sorted(NEGATIVE):
        script[kind].extend(chance.choice([POSITIVE[kind], POSITIVE[kind], NEGATIVE[kind]]) for _ in range(6))
    shell = Shell(ServerSession(config), script)
    for piece in [b"", *pieces]:
        shell.feed(piece)
    return shell


def _serve(config: ServerConfig, data: bytes) -> None:
    seed, stream = _steer(data)
    whole = _smtp_shell(config, [stream], seed)
    lines = whole.output.split(b"\r\n")
    assert lines.pop() == b"" and all(re.match(rb"[2345][0-9]{2}[ -]", line) for line in lines), whole.output
    assert whole.session.buffered_bytes <= 2048 + 1
    cut = _smtp_shell(config, _cut(stream, seed), seed)
    if whole.happened[-1:] != [PAST_DATA]:  # what lay in the buffer told that
        assert (cut.happened, cut.output, cut.messages) == (whole.happened, whole.output, whole.messages)
    for message in whole.messages:
        assert b"\r" not in message.content
        _send(message.content, seed)
    ends = sum(isinstance(event, Closing) for event in whole.happened)
    assert ends == (whole.closed is not None)
    assert sum(isinstance(event, TransactionDropped) for event in whole.happened) <= len(lines)


def _send(content: bytes, seed: int) -> None:
    """Send content on: what leaves has CR and LF together only, and one end, however its blocks are cut."""
    wire = encode_data(content)
    assert wire.count(b"\r") == wire.count(b"\n") == wire.count(b"\r\n")
    assert re.split(rb"[\r\n]", wire).count(b".") == 1
    encoder = DataEncoder()
    assert b"".join(map(encoder.feed, _cut(content, seed))) + encoder.end() == wire


def smtp(data: bytes) -> None:
    """The SMTP server machine."""
    _serve(_SMTP, data)


def lmtp(data: bytes) -> None:
    """The same as an LMTP server."""
    _serve(_LMTP, data)


def content(data: bytes) -> None:
    """What is sent on, of content that nobody checked."""
    seed, stored = _steer(data)
    _send(stored, seed)


def smtp_client(data: bytes) -> None:
    """The client machine, whatever a server says: each recipient ends once.

    Replies that come in one piece came before their commands were sent, which is the end; so lines come one by one.
    """
    seed, stream = _steer(data)
    lines = re.findall(rb"[^\n]*\n|[^\n]+", stream)
    assert _deliver(lines, seed) == _deliver([stream[at : at + 1] for at in range(len(stream))], seed)


def _deliver(pieces: list[bytes], seed: int) -> tuple[list[tuple[Outcome, ...]], Phase]:
    client = SmtpClient("c.test", "d.test", want_tls=False, lmtp=bool(seed & 256))
    recipients = (b"a@d.test", b"b@d.test", b"c@d.test")[: 1 + seed % 3]
    finished: list[tuple[Outcome, ...]] = []
    for piece in pieces:
        events = client.receive(piece)
        while True:
            for event in events:
                assert not isinstance(event, Upgrade | SendContent)
                if isinstance(event, Finished):
                    assert len(event.outcomes) == len(recipients)
                    finished.append(event.outcomes)
            client.take_output()
            if client.phase is not Phase.READY or len(finished) == 2:
                break
            whole = b"Subject: x\n\nx\n"
            events = client.begin(Transaction(b"s@c.test", recipients, whole, len(whole), eight_bit=False))
    return finished, client.phase


# qmail-smtpd


def qmail_smtpd(data: bytes) -> None:
    """The machine of qmail-smtpd; content is held against a reader that goes line by line."""
    seed, stream = _steer(data)
    assert _qmail_smtpd([stream], seed) == _qmail_smtpd(_cut(stream, seed), seed)


def _qmail_smtpd(pieces: list[bytes], seed: int) -> tuple[bytes, list[tuple[object, ...]]]:
    chance, terms = random.Random(seed), _qmail_terms(seed)
    server, said, closed = Server(terms, b"peer.test"), b"", list[tuple[object, ...]]()
    begun, content = -1, b""
    fed = b""

    def text(replies: bytes) -> bytes:
        assert re.fullmatch(rb"([2345][0-9]{2}[ -][^\r\n]*\r\n)+", replies), replies
        return replies

    for piece in pieces:
        server.feed(piece)
        fed += piece
        while (event := server.next()) is not None:
            if isinstance(event, End):
                server.feed(b"NOOP\r\n")
                assert isinstance(server.next(), End)
                return said, closed
            if isinstance(event, SmtpdSays):
                said += text(event.text)
            elif isinstance(event, Open):
                is_open = chance.random() < 0.8
                begun, content = len(fed) - len(server._input) if is_open else -1, b""
                said += text(server.opened(is_open=is_open))
            elif isinstance(event, Put):
                assert event.data and begun >= 0
                content += event.data
            elif isinstance(event, Close):
                assert begun >= 0
                _check_closed(event, content, fed[begun:], terms)
                closed.append((b"" if event.is_refused else content, event.sender, *event.recipients))
                verdict = b"Dno" if event.is_refused else chance.choice([b"", b"Zlater", b"Dno"])
                said += text(server.judged(verdict, 7, 1000))
                begun = -1
    return said, closed


def _qmail_terms(seed: int) -> Terms:
    return Terms(
        b"mx.test",
        lambda address: address.endswith(b"mx.test"),
        lambda sender: sender == b"bad@c.test",
        databytes=20 if seed & 256 else 0,
        suffix=b"@relay.test" if seed & 512 else None,
        literal_host=b"mx.test" if seed & 1024 else None,
        is_own=lambda address: address == "127.0.0.1",
    )


def _check_closed(event: Close, content: bytes, sent: bytes, terms: Terms) -> None:
    whole, hops = b"", 0
    in_header = True
    for line in sent.split(b"\r\n"):
        assert b"\n" not in line
        if line == b".":
            break
        in_header &= line != b""
        hops += in_header and re.match(rb"received|delivered", line, re.IGNORECASE) is not None
        whole += re.sub(rb"\A\.(?!\r)", b"", line) + b"\n"
    too_large = 0 < terms.databytes < len(whole)
    assert event.is_refused == (too_large or hops >= HOPS_MOST)
    assert content == whole or (too_large and whole.startswith(content))
    for address in (event.sender, *event.recipients):
        assert len(address) <= ADDRESS_MOST_BYTES + len(terms.suffix or b"") and b"\0" not in address
        assert b"\n" not in address


# QMTP and QMQP


def qmtp(data: bytes) -> None:
    """The QMTP server machine."""
    seed, stream = _steer(data)
    whole, cut = _qmtp([stream]), _qmtp(_cut(stream, seed))
    assert whole == cut


def _qmtp(pieces: list[bytes]) -> tuple[list[object], list[bytes]]:
    server = QmtpServer(message_most_bytes=50, recipients_most=3, envelope_most_bytes=200, address_most_bytes=20)
    seen: list[object] = []
    message = b""
    for piece in pieces:
        events = server.receive(piece)
        while events:
            last = events[-1]
            for event in events:
                if isinstance(event, bytes):
                    assert event
                    message += event
                    assert len(message) <= 50
                elif isinstance(event, Package):
                    assert event is last is server.package
                    assert len(event.recipients) <= 3
                    seen.append((None if event.is_too_large else message, event.sender, event.recipients))
                    message = b""
                else:
                    assert server.is_closed
                    seen.append((event.reason, event.is_too_long))
            events = server.answer([b"Kok"] * len(last.recipients)) if isinstance(last, Package) else []
        assert server.package is None and server.buffered_bytes < 64
    answers = split(server.take_output())
    assert len(answers) <= EXCESS_MOST * len(seen)
    return seen, answers


def qmqp(data: bytes) -> None:
    """The QMQP server machine; what comes behind a request in a piece of its own cannot be seen in time."""
    seed, stream = _steer(data)
    whole, cut = _qmqp([stream]), _qmqp(_cut(stream, seed))
    if "Request" not in cut[1] and "TooLarge" not in cut[1]:
        assert whole == cut


def _qmqp(pieces: list[bytes]) -> tuple[bytes, list[str]]:
    server = QmqpServer(message_most_bytes=50, envelope_most_bytes=80)
    message, told = b"", list[str]()
    for piece in pieces:
        for event in server.receive(piece):
            if isinstance(event, bytes):
                assert event and not told
                message += event
            else:
                told.append(type(event).__name__)
            if isinstance(event, QmqpRequest):
                pieces_of = [message, event.sender, *event.recipients]
                assert split(b"".join(map(netstring, pieces_of))) == pieces_of
    assert len(message) <= 50 and len(told) <= 2
    return message, told


def netstrings(data: bytes) -> None:
    """Netstrings that fill their input."""
    try:
        found = split(data)
    except NetstringError:
        return
    assert len(b"".join(map(netstring, found))) <= len(data)


# POP3, PROXY, SASL


def pop3(data: bytes) -> None:
    """The POP3 server machine."""
    seed, stream = _steer(data)
    shells = [_pop3(pieces, seed) for pieces in ([stream], _cut(stream, seed))]
    assert shells[0] == shells[1]


def _pop3(pieces: list[bytes], seed: int) -> Pop3Shell:
    chance = random.Random(seed)
    shell = Pop3Shell(Pop3Session(config("apop PLAIN")), config(""), _MAILS, gone={3})
    shell.answers.extend(chance.choice(["ok", "failed No", "later No", "challenge QUJD"]) for _ in range(5))
    for piece in [b"", *pieces]:
        shell.feed(piece)
    return shell


def proxy(data: bytes) -> None:
    """The reader of PROXY headers."""
    seed, stream = _steer(data)
    assert _proxy([stream]) == _proxy(_cut(stream, seed))


def _proxy(pieces: list[bytes]) -> tuple[Proxied | str | None, bytes]:
    reader, rest = ProxyReader(), b""
    found: Proxied | str | None = None
    for piece in pieces:
        if found is not None:
            rest += piece
            continue
        try:
            found = reader.feed(piece)
        except ProxyError:
            return "none", b""
        if found is not None:
            rest = reader.rest
    return found, rest


def sasl(data: bytes) -> None:
    """Every mechanism, in messages of the client that come with their length: no proof without a yes."""
    seed, stream = _steer(data)
    made = machine(NAMES[seed % len(NAMES)])
    messages: list[bytes] = []
    while len(stream) >= 2 and len(messages) < 8:
        (size,) = struct.unpack_from("!H", stream)
        messages.append(stream[2 : 2 + size])
        stream = stream[2 + size :]
    said = iter(messages)
    step = _refused(made, made.start(next(said, None) if seed & 64 else None))
    while isinstance(step, Say):
        response = next(said, None)
        if response is None:
            return
        step = _refused(made, made.respond(response))
    assert isinstance(step, Failed), step


def _refused(made: Mechanism, step: Step) -> Step:
    """Answer questions with no, or with keys that the client cannot have."""
    while isinstance(step, CheckPassword | CheckToken | FindKeys | FindSecrets):
        if isinstance(step, FindKeys):
            step = made.answer(KEYS)
        else:
            step = made.answer((("", b"the secret"),) if isinstance(step, FindSecrets) else False)
    assert not isinstance(step, Proven), "a proof without a password"
    return step


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "smtp": smtp,
    "lmtp": lmtp,
    "content": content,
    "smtp-client": smtp_client,
    "qmail-smtpd": qmail_smtpd,
    "qmtp": qmtp,
    "qmqp": qmqp,
    "netstrings": netstrings,
    "pop3": pop3,
    "proxy": proxy,
    "sasl": sasl,
    "addresses": addresses,
    "dotqmail": dotqmail,
    "forward-file": forward_file,
    "aliases": aliases,
}
