"""Reports, read back by independent readers: the standard library, flufl.bounce, QSBMF rules."""

import re
from email import message_from_bytes, policy
from email.message import Message
from email.utils import parsedate_to_datetime

import msgspec
import pytest
from flufl.bounce import scan_message
from flufl.bounce._detectors.qmail import Qmail
from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.text import show
from paperpath.message.report import (
    ORIGINAL_MOST_BYTES,
    Original,
    Reported,
    delivery_report,
    report_envelope,
)

BIRTH, NOW = 1795343000, 1795343417
HEADER = b"From: a@client.example\nSubject: hello\n"
CONTENT = HEADER + b"\nThe text.\n"
TRACE = b"Received: from x ([192.0.2.1])\n\tby mx.example.org with SMTP (Paperpath);\n\tdate\n"
FAILURE = Reported(
    address=b"joe@far.example",
    status="5.1.1",
    text="The peer refused the recipient: 550 5.1.1 no such user",
    host="mx.far.example",
    diagnostic="550 5.1.1 no such user",
)


def report(
    *failures: Reported,
    content: bytes = CONTENT,
    trace: bytes = TRACE,
    sender: bytes = b"list@example.org",
    recipient: bytes | None = None,
    complete: bool = True,
    double: bool = False,
    token: str = "1c5h.report",
) -> bytes:
    return delivery_report(
        hostname=b"mx.example.org",
        reporter=b"MAILER-DAEMON",
        recipient=sender if recipient is None else recipient,
        original=Original(sender=sender, trace=trace, content=content, complete=complete, birth=BIRTH),
        reported=failures or (FAILURE,),
        double=double,
        now=NOW,
        token=token,
    )


def parse(raw: bytes) -> Message:
    parsed = message_from_bytes(raw, policy=policy.compat32)
    assert [part.defects for part in parsed.walk() if part.defects] == []
    return parsed


def parts_of(raw: bytes) -> list[Message]:
    payload = parse(raw).get_payload()
    assert isinstance(payload, list) and len(payload) == 3
    return [part for part in payload if isinstance(part, Message)]


def body_bytes(raw: bytes, number: int) -> bytes:
    """Return the raw body of a part, cut out by the boundary alone (RFC 2046 5.1.1)."""
    found = re.search(rb'\n\tboundary="([^"\n]+)"\n', raw)
    assert found is not None
    pieces = raw.split(b"\n--" + found[1])
    assert len(pieces) == 5 and pieces[4] == b"--\n"
    return pieces[number].partition(b"\n\n")[2]


def qsbmf(body: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Read a text as QSBMF says: return recipients with their reasons, and the break paragraph."""
    paragraphs = body.split(b"\n\n")
    assert paragraphs[0].startswith(b"Hi. This is the")
    found: list[tuple[bytes, bytes]] = []
    for paragraph in paragraphs[1:]:
        first, _, rest = paragraph.partition(b"\n")
        if paragraph.startswith(b"-"):
            return found, paragraph
        if paragraph.startswith(b"<"):
            assert first.endswith(b">:")
            found.append((first[1:-2], rest))
    raise AssertionError("no break paragraph")


def test_header_and_shape() -> None:
    raw = report()
    parsed = parse(raw)
    assert parsed.keys() == [
        "Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type",
    ]  # fmt: skip
    assert parsedate_to_datetime(parsed["Date"]).timestamp() == NOW
    assert parsed["From"] == "<MAILER-DAEMON@mx.example.org>"
    assert parsed["To"] == "<list@example.org>"
    assert parsed["Subject"] == "failure notice"
    assert parsed["Message-ID"] == "<1c5h.report@mx.example.org>"
    assert parsed["Auto-Submitted"] == "auto-replied"
    assert parsed.get_content_type() == "multipart/report"
    assert parsed.get_param("report-type") == "delivery-status"
    kinds = [part.get_content_type() for part in parts_of(raw)]
    assert kinds == ["text/plain", "message/delivery-status", "message/rfc822"]
    assert raw.isascii() and b"\r" not in raw


def test_delivery_status_fields() -> None:
    groups = parts_of(report())[1].get_payload()
    assert isinstance(groups, list)
    about, recipient = (dict(group.items()) for group in groups if isinstance(group, Message))
    assert about.keys() == {"Reporting-MTA", "Arrival-Date"}
    assert about["Reporting-MTA"] == "dns; mx.example.org"
    assert parsedate_to_datetime(about["Arrival-Date"]).timestamp() == BIRTH
    assert recipient == {
        "Final-Recipient": "rfc822; joe@far.example",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.far.example",
        "Diagnostic-Code": "smtp; 550 5.1.1 no such user",
    }


def test_failure_of_our_own_names_no_peer() -> None:
    body = body_bytes(report(Reported(address=b"a@x", status="5.4.7", text="too old")), 2)
    assert b"Remote-MTA" not in body and b"Diagnostic-Code" not in body


@pytest.mark.parametrize("status", ["", "2.0.0", "5.1", "5.1.1\nX: y", "5.1.1234", "5.\u0661.1"])
def test_status_that_is_none_becomes_the_general_one(status: str) -> None:
    assert b"\nStatus: 5.0.0\n" in body_bytes(report(Reported(address=b"a@x", status=status, text="t")), 2)


@pytest.mark.parametrize(
    ("address", "field"),
    [
        (b"a b@x", b'rfc822; "a b"@x'),
        ("δοκ+1@x".encode(), rb"utf-8; \x{3B4}\x{3BF}\x{3BA}\x{2B}1@x"),
        ("ü b@x".encode(), rb"utf-8; " + rb'"\x{FC}\x{20}b"@x'),
        (b"a\nb@x", rb'utf-8; "a\x{5C}\x{0A}b"@x'),
        ("\U0001f4e8@x".encode(), rb"utf-8; \x{1F4E8}@x"),
        (b"\xff@x", rb"rfc822; \xff@x"),
    ],
)
def test_final_recipient_type(address: bytes, field: bytes) -> None:
    body = body_bytes(report(Reported(address=address, status="5.1.1", text="t")), 2)
    assert b"\nFinal-Recipient: " + field + b"\n" in body


def test_text_part_is_qsbmf() -> None:
    second = Reported(address=b"a\nb@x", status="5.0.0", text="")
    recipients, last = qsbmf(body_bytes(report(FAILURE, second), 1))
    assert recipients == [
        (b"joe@far.example", b"The peer refused the recipient: 550 5.1.1 no such user"),
        (b"a_b@x", b"No reason was given."),
    ]
    assert last.rstrip(b"\n") == b"--- Below this line is a copy of the message."


def test_double_bounce_wording() -> None:
    raw = report(sender=b"", recipient=b"postmaster@mx.example.org", double=True)
    recipients, last = qsbmf(body_bytes(raw, 1))
    assert [address for address, _ in recipients] == [b"joe@far.example"]
    assert last.rstrip(b"\n") == b"--- Below this line is the original bounce."
    assert parse(raw)["To"] == "<postmaster@mx.example.org>"
    assert body_bytes(raw, 3).startswith(b"Return-Path: <>\n")


def test_original_comes_back_whole_and_untouched() -> None:
    assert body_bytes(report(), 3) == b"Return-Path: <list@example.org>\n" + TRACE + CONTENT
    inner = parts_of(report())[2].get_payload(0)
    assert isinstance(inner, Message) and inner["Subject"] == "hello" and inner.get_payload() == "The text.\n"


@pytest.mark.parametrize("content", [b"", b"\n", b"A: b", b"A: b\n\nno end of line", b"\n\n\n"])
def test_odd_originals_are_kept_byte_for_byte(content: bytes) -> None:
    assert body_bytes(report(content=content), 3) == b"Return-Path: <list@example.org>\n" + TRACE + content


def test_size_decides_between_whole_and_header() -> None:
    top = len(b"Return-Path: <list@example.org>\n" + TRACE + HEADER + b"\n")
    fits = HEADER + b"\n" + b"x" * (ORIGINAL_MOST_BYTES - top)
    assert parts_of(report(content=fits))[2].get_content_type() == "message/rfc822"
    for raw in (report(content=fits + b"x"), report(content=HEADER + b"\nbeg", complete=False)):
        part = parts_of(raw)[2]
        assert part.get_content_type() == "text/rfc822-headers"
        assert body_bytes(raw, 3) == b"Return-Path: <list@example.org>\n" + TRACE + HEADER
        assert len(qsbmf(body_bytes(raw, 1))[0]) == 1
        assert b"only its header is" in body_bytes(raw, 1)


def test_endless_header_is_cut_at_a_line() -> None:
    body = body_bytes(report(content=b"X-A: 0123456789\n" * 9000), 3)
    assert len(body) <= ORIGINAL_MOST_BYTES < len(body) + 16 and body.endswith(b"X-A: 0123456789\n")
    assert body_bytes(report(content=b"x" * 100_000), 3) == b"Return-Path: <list@example.org>\n" + TRACE


def test_eight_bit_is_declared_where_it_is() -> None:
    raw = report(content=HEADER + b"\ncaf\xe9\n")
    assert parse(raw)["Content-Transfer-Encoding"] == "8bit"
    assert [part["Content-Transfer-Encoding"] for part in parts_of(raw)] == [None, None, "8bit"]
    assert b"caf\xe9\n" in raw
    raw = report(Reported(address="ü@x".encode(), status="5.1.1", text="unknown: ü"))
    text = parts_of(raw)[0]
    assert text["Content-Transfer-Encoding"] == "8bit" and text.get_content_charset() == "utf-8"
    assert qsbmf(body_bytes(raw, 1))[0] == [("ü@x".encode(), "unknown: ü".encode())]


def test_boundary_is_in_no_part() -> None:
    first = re.search(r'boundary="([^"]+)"', report().decode())
    assert first is not None
    hostile = CONTENT + b"\n--" + first[1].encode() + b"--\n\n--" + first[1].encode() + b"x\n"
    raw = report(content=hostile)
    assert body_bytes(raw, 3).endswith(hostile)
    second = re.search(r'boundary="([^"]+)"', raw.decode())
    assert second is not None and second[1] != first[1] and len(second[1]) <= 70


def test_same_input_same_report() -> None:
    assert report() == report() != report(token="1c5h.other")


@pytest.mark.parametrize(
    "recipient",
    [b"a@x\nBcc: b@y", b"b@a@x>, <y", b"a@x (", b"\xff@x", b"a@" + b"x" * 1000, "\u202ea@x".encode(), b""],
)
def test_address_that_no_header_can_carry_is_left_out(recipient: bytes) -> None:
    parsed = parse(report(recipient=recipient))
    assert parsed["To"] == "undisclosed-recipients:;" and parsed["Bcc"] is None


def test_odd_local_part_in_to_is_quoted() -> None:
    assert parse(report(recipient=b'x> "y@example.org'))["To"] == '<"x> \\"y"@example.org>'


def test_flufl_bounce_reads_it() -> None:
    failures = (FAILURE, Reported(address=b"ann@other.example", status="5.7.1", text="no"))
    raw = report(*failures)
    assert scan_message(parse(raw)) == {b"joe@far.example", b"ann@other.example"}
    assert set(Qmail().process(parse(raw))[1]) == {b"joe@far.example", b"ann@other.example"}


# `st.text` would leave the surrogate out.
_HOSTILE = st.lists(
    st.sampled_from('\n\r\t\0 <>:;,-="\\@()ab\u2028\u202e\x85ü\ud800\U0001f4e8') | st.characters(), max_size=60
).map("".join)
_ADDRESS = st.binary(min_size=1, max_size=60) | _HOSTILE.filter(bool).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)
_FAILURE = st.builds(
    Reported,
    address=_ADDRESS,
    status=_HOSTILE | st.just("5.1.1"),
    text=_HOSTILE,
    host=_HOSTILE,
    diagnostic=_HOSTILE,
)
_CONTENT = st.lists(
    st.sampled_from([b"\n", b"\n\n", b"--=_t.0", b"--", b"Subject: x", b"\xe9", b"\0", b"\r", b"text"])
).map(b"".join)


@given(st.lists(_FAILURE, min_size=1, max_size=4), _CONTENT, _ADDRESS, _HOSTILE)
def test_hostile_values_stay_in_their_place(
    failures: list[Reported], content: bytes, sender: bytes, token: str
) -> None:
    raw = report(*failures, content=content, sender=sender, token=token)
    head = raw.partition(b"\n\n")[0].split(b"\n")
    names = [row.partition(b":")[0] for row in head if not row.startswith(b"\t")]
    assert names[:8] == [
        b"Date", b"From", b"To", b"Subject", b"Message-ID", b"Auto-Submitted", b"MIME-Version", b"Content-Type",
    ]  # fmt: skip
    assert names[8:] in ([], [b"Content-Transfer-Encoding"])
    ours = b"\n".join([*head, body_bytes(raw, 1), body_bytes(raw, 2)])
    assert all(len(row) <= 998 for row in ours.split(b"\n")) and not re.search(rb"[\0\r\t]", body_bytes(raw, 1))
    recipients, _ = qsbmf(body_bytes(raw, 1))
    assert [address.decode() for address, _ in recipients] == [
        show(failure.address.replace(b"\n", b"_")) for failure in failures
    ]
    groups = body_bytes(raw, 2).rstrip(b"\n").split(b"\n\n")
    assert len(groups) == 1 + len(failures)
    for group, failure in zip(groups[1:], failures, strict=True):
        rows = group.split(b"\n")
        assert len(rows) == 3 + bool(failure.host) + bool(failure.diagnostic) and group.isascii()
        assert re.fullmatch(rb"Final-Recipient: (rfc822|utf-8); [ -~]+", rows[0])
    assert body_bytes(raw, 3).endswith(content)


@pytest.mark.parametrize("address", [b"\1" * 900, b'"' * 900, "\u00fc".encode() * 450, b"\xff" * 900, b"a" * 5000])
def test_long_addresses_are_cut_between_characters(address: bytes) -> None:
    raw = report(
        Reported(address=address, status="5.0.0", text="\u20ac" * 3000, host="h" * 3000, diagnostic="\0" * 3000)
    )
    assert all(len(row) <= 998 for row in raw.split(b"\n"))
    assert body_bytes(raw, 1).decode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("one\ntwo", b"one\ntwo"),
        ("one\n", b"one"),
        ("one\n\ntwo\n \n\n", b"one\n/two"),
        ("one\n\n\ntwo", b"one\n/\ntwo"),
        ("one\n\n\n\ntwo", b"one\n/\n/two"),
        ("\n\none", b"one"),
        ("\n \n", b"No reason was given."),
    ],
)
def test_reason_keeps_its_lines_and_stays_one_paragraph(text: str, shown: bytes) -> None:
    raw = report(Reported(address=b"joe@x", status="5.0.0", text=text, host="", diagnostic=""))
    recipients, _ = qsbmf(body_bytes(raw, 1))
    assert recipients == [(b"joe@x", shown)]


@given(st.binary(max_size=1000), st.text(max_size=3000))
def test_lines_of_ours_are_bounded(address: bytes, text: str) -> None:
    raw = report(Reported(address=address, status="5.0.0", text=text, host=text, diagnostic=text))
    assert all(len(row) <= 998 for row in raw.split(b"\n"))


@pytest.mark.parametrize(
    ("sender", "double_to", "envelope"),
    [
        (b"joe@x", b"postmaster", (b"", b"joe@x")),
        (b"list-@x-@[]", b"postmaster", (b"", b"list-@x")),
        (b"", b"postmaster", (b"#@[]", b"postmaster@mx.example.org")),
        (b"", b"boss@far.example", (b"#@[]", b"boss@far.example")),
        (b"-@[]", b"postmaster", (b"#@[]", b"postmaster@mx.example.org")),
        (b"#@[]-@[]", b"postmaster", None),
        (b"#@[]", b"postmaster", None),
        (b"", b"", None),
    ],
)
def test_report_envelope(sender: bytes, double_to: bytes, envelope: tuple[bytes, bytes] | None) -> None:
    assert report_envelope(sender, double_to, b"mx.example.org") == envelope


# What else is reported than failure.


def told(action: str, status: str, **changes: object) -> Reported:
    values = {"address": b"joe@far.example", "text": "250 ok", "host": "mx.far.example", "diagnostic": "250 ok"}
    return Reported(**(values | {"action": action, "status": status} | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("action", "status", "subject", "words"),
    [
        ("delivered", "2.0.0", "delivery notice", b"in the mailbox"),
        ("relayed", "2.1.5", "delivery notice", b"no such reports"),
        ("expanded", "2.0.0", "delivery notice", b"several addresses"),
        ("delayed", "4.4.1", "delay notice", b"tried further"),
    ],
)
def test_a_report_of_anything_but_failure_looks_like_none(action: str, status: str, subject: str, words: bytes) -> None:
    raw = report(told(action, status))
    assert parse(raw)["Subject"] == subject
    text, machine, returned = (body_bytes(raw, number) for number in (1, 2, 3))
    assert words in text
    assert not text.startswith(b"Hi. This is the")  # or a list manager of qmail's world would count a bounce
    assert b"\nAction: %b\nStatus: %b\n" % (action.encode(), status.encode()) in machine
    assert parts_of(raw)[2].get_content_type() == "text/rfc822-headers"
    assert b"Subject: hello" in returned and b"The text." not in returned


@pytest.mark.parametrize(("action", "status"), [("delivered", "5.0.0"), ("delayed", "2.0.0"), ("failed", "2.0.0")])
def test_status_does_not_contradict_the_action(action: str, status: str) -> None:
    kind = {"delivered": b"2", "delayed": b"4", "failed": b"5"}[action]
    assert b"\nStatus: %b.0.0\n" % kind in body_bytes(report(told(action, status)), 2)


def test_what_the_sender_called_it_is_given_back() -> None:
    raw = with_original(envelope_id=b"a+2Bb+3D+0A", deliver_by=NOW, hold="for;60")
    about = body_bytes(raw, 2).split(b"\n\n")[0].split(b"\n")
    assert about[0] == rb"Original-Envelope-Id: a+b=\x0a"
    assert about[3:] == [b"Deliver-By-Date: Sun, 22 Nov 2026 10:30:17 +0000", b"Future-Release-Request: for;60"]


@pytest.mark.parametrize(
    ("given_as", "shown"),
    [
        (b"rfc822;Joe+2Bx@old.example", b"rfc822; Joe+x@old.example"),
        (b"RFC822;a+0AX:+20y", rb"RFC822; a\x0aX: y"),
        (b"x400;/c+3Dde/", b"x400; /c=de/"),
        ("utf-8;süß@x".encode(), rb"utf-8; s\x{FC}\x{DF}@x"),
        (rb"UTF-8;s\x{FC}@x", rb"utf-8; s\x{FC}@x"),
    ],
)
def test_original_recipient_comes_first_and_on_one_line(given_as: bytes, shown: bytes) -> None:
    group = body_bytes(report(told("failed", "5.1.1", original=given_as)), 2).split(b"\n\n")[1]
    assert group.split(b"\n")[0] == b"Original-Recipient: " + shown
    assert group.split(b"\n")[1] == b"Final-Recipient: rfc822; joe@far.example"


def test_who_waits_is_told_until_when() -> None:
    assert b"\nWill-Retry-Until: Sun, 22 Nov 2026 10:30:17 +0000\n" in body_bytes(
        report(told("delayed", "4.0.0", retried_until=NOW)), 2
    )


def test_header_alone_comes_back_where_that_was_asked_for() -> None:
    raw = with_original(header_only=True)
    assert parts_of(raw)[2].get_content_type() == "text/rfc822-headers"
    assert b"as it was asked for" in body_bytes(raw, 1) and b"The text." not in raw
    assert qsbmf(body_bytes(raw, 1))[0][0][0] == b"joe@far.example"


@pytest.mark.parametrize(
    ("field", "marked"),
    [(b"TLS-Required: No\n", True), (b"tls-required:\n no \n", True), (b"TLS-Required: Yes\n", False), (b"", False)],
)
def test_report_may_travel_in_clear_where_its_original_could(field: bytes, marked: bool) -> None:
    raw = report(content=field + CONTENT + b"TLS-Required: No\n")
    assert (parse(raw)["TLS-Required"] == "No") is marked


def with_original(**changes: object) -> bytes:
    original = Original(sender=b"a@b.example", trace=TRACE, content=CONTENT, complete=True, birth=BIRTH)
    return delivery_report(
        hostname=b"mx.example.org",
        reporter=b"MAILER-DAEMON",
        recipient=b"a@b.example",
        original=msgspec.structs.replace(original, **changes),
        reported=(FAILURE,),
        double=False,
        now=NOW,
        token="t",
    )
