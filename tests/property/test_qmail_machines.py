"""The machines of qmail's programs, given anything at all: they answer in their form, and break nothing."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from paperpath.base.tcp_rules import BadRule, records
from paperpath.protocol.qmail_remote import Dialogue, Step, merge
from paperpath.protocol.qmail_smtpd import Close, End, Open, Say, Server, Terms
from paperpath.protocol.spawning import SLOTS, Commands

TERMS = Terms(b"me.ex", lambda address: len(address) % 2 == 0, lambda sender: b"bad" in sender, databytes=100)
COMMANDS = st.sampled_from(
    [b"MAIL FROM:<a@x.ex>\r\n", b"RCPT TO:<b@x.ex>\r\n", b"DATA\r\n", b".\r\n", b"RSET\r\n", b"EHLO x\r\n", b"QUIT\r\n"]
)
REPLIES = st.sampled_from([b"220 x\r\n", b"250 x\r\n", b"250-x\r\n", b"354 x\r\n", b"450 x\n", b"550\n", b"-\n\n"])


@given(st.lists(COMMANDS | st.binary(max_size=60), max_size=30))
def test_qmail_smtpd_says_whole_lines_and_gives_each_message_an_end(pieces: list[bytes]) -> None:
    server, said, is_open = Server(TERMS, b"peer.ex"), b"", False
    for piece in pieces:
        server.feed(piece)
        while (event := server.next()) is not None:
            if isinstance(event, Say):
                said += event.text
            elif isinstance(event, Open):
                assert not is_open
                is_open = True
                said += server.opened(is_open=True)
            elif isinstance(event, Close):
                assert is_open and event.recipients
                is_open = False
                said += server.judged(b"Zlater", 1, 2)
            elif isinstance(event, End):
                assert said.endswith(b"\r\n") and server.next() is not None
                return
    assert all(line[:3].isdigit() for line in said.split(b"\r\n")[:-1]) and (not said or said.endswith(b"\r\n"))


@given(st.lists(REPLIES | st.binary(max_size=60), max_size=30), st.integers(1, 3))
def test_qmail_remote_reports_on_every_conversation(pieces: list[bytes], count: int) -> None:
    dialogue = Dialogue(b"192.0.2.1", b"me.ex", b"a@x.ex", [b"b@x.ex"] * count)
    for piece in pieces:
        dialogue.feed(piece)
        if dialogue.step is Step.CONTENT:
            dialogue.content_sent()
        output = dialogue.take_output()
        assert not output or output.endswith(b"\r\n")
    if dialogue.step is not Step.OVER:
        dialogue.lost()
    *recipients, message, rest = dialogue.report.split(b"\0")
    assert rest == b"" and message[:1] in (b"K", b"Z", b"D")
    assert len(recipients) <= count and all(item[:1] in (b"r", b"h", b"s") for item in recipients)
    assert not message.startswith(b"K") or b"r" in recipients
    assert merge(dialogue.report)[:1] in (b"K", b"Z", b"D")


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_commands_to_a_spawner_are_whole_whatever_the_cuts(pieces: list[bytes]) -> None:
    one, many = Commands(), Commands()
    together = one.feed(b"".join(pieces))
    apart = [command for piece in pieces for command in many.feed(piece)]
    for command in (*together, *apart):
        if not command.fault:
            assert command.slot < SLOTS and b"@" in command.recipient
            assert command.message.replace(b"/", b"").isdigit() and command.message[:1] != b"/"
    shown = [[(c.slot, c.message, c.sender, c.recipient, c.fault) for c in found] for found in (together, apart)]
    assert shown[0] == shown[1]


@given(st.text(alphabet='1.-9:=@,"denyalow\n# ', max_size=60))
def test_rules_are_rules_or_bad(source: str) -> None:
    with contextlib.suppress(BadRule):
        for key, data in records(source.encode()):
            assert b"\n" not in key and (not data or data.endswith(b"\0"))
