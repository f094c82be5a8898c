"""What is asked for beside the delivery: when it is refused, and how programs of this host say it."""

import pytest

from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.protocol.netstring import netstring
from paperpath.protocol.smtp_config import HOLD_MOST_S
from paperpath.protocol.smtp_parameters import Asked, By, Hold
from paperpath.receive import replies
from paperpath.receive.parcel import Answer, Bringer, Parcel, program
from paperpath.receive.terms import HOLD_LATE_S, judge, read_injected
from tests.unit.receive.scene import Scene

NOW = 1_800_000_000


@pytest.mark.parametrize("seconds", [-HOLD_LATE_S, 0, 60, HOLD_MOST_S])
def test_a_hold_that_can_be(seconds: int) -> None:
    assert judge(Asked(hold=Hold(NOW + seconds, True, "until;x")), NOW) is None
    assert judge(Asked(hold=Hold(max(1, seconds), False, "for;x")), NOW) is None
    assert judge(Asked(), NOW) is None


@pytest.mark.parametrize("seconds", [-HOLD_LATE_S - 1, HOLD_MOST_S + 1])
def test_a_hold_that_cannot_be(seconds: int) -> None:
    assert judge(Asked(hold=Hold(NOW + seconds, True, "until;x")), NOW) is replies.HOLD_BEYOND
    if seconds > 0:
        assert judge(Asked(hold=Hold(seconds, False, "for;x")), NOW) is replies.HOLD_BEYOND


@pytest.mark.parametrize(("by", "refused"), [(59, True), (60, True), (61, False)])
def test_what_is_held_is_due_before_it_is_late(by: int, refused: bool) -> None:
    """RFC 4865 5.2."""
    asked = Asked(hold=Hold(60, False, "for;60"), by=By(by, "N", False))
    assert (judge(asked, NOW) is replies.HOLD_TOO_LATE) is refused


def test_what_a_program_says() -> None:
    mail, rcpt = MessageTerms("HDRS", b"a+2Bb"), RecipientTerms("SUCCESS,DELAY")
    assert read_injected(b"RET=HDRS ENVID=a+2Bb\0NOTIFY=DELAY,SUCCESS") == (mail, rcpt)
    assert read_injected(b"\0NOTIFY=NEVER") == (None, RecipientTerms("NEVER"))
    assert read_injected(b"RET=FULL") == (MessageTerms("FULL"), None)
    assert read_injected(b"") == (None, None)


@pytest.mark.parametrize(
    "said", [b"RET=X", b"REQUIRETLS", b"HOLDFOR=60", b"\0NOTIFY=NEVER,DELAY", b"\0NOTIFY=NEVER\0X=1", b"> <x"]
)
def test_what_no_program_may_say(said: bytes) -> None:
    with pytest.raises(ValueError, match="parameters"):
        read_injected(said)


def answers_to(scene: Scene, sender: bytes, bringer: Bringer | None = None) -> list[Answer]:
    answers: list[Answer] = []
    parcel = Parcel(scene.service, bringer or program(scene.service, 0), answers.append)
    pieces = (b"Subject: x\n\nHello.\n", sender, b"joe@here.test", b"jim@here.test")
    parcel.receive(netstring(b"".join(map(netstring, pieces))))
    return answers


async def test_a_program_s_terms_go_with_its_message() -> None:
    scene = Scene()
    (answer,) = answers_to(scene, b"\0RET=HDRS\0NOTIFY=NEVER")
    assert answer.letter == "K"
    (submit,) = scene.queue.taken
    assert (submit.sender, submit.terms) == (b"", MessageTerms("HDRS"))
    assert submit.recipient_terms == {0: RecipientTerms("NEVER"), 1: RecipientTerms("NEVER")}
    answers_to(scene, b"")
    assert (scene.queue.taken[1].terms, scene.queue.taken[1].recipient_terms) == (None, {})


async def test_a_program_that_says_nonsense_is_refused() -> None:
    scene = Scene()
    (answer,) = answers_to(scene, b"\0RET=SOME")
    assert answer.letter == "D" and "#5.5.4" in answer.text
    assert not scene.queue.taken


async def test_what_recipients_are_to_be_called_counts_as_envelope(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperpath.receive.parcel.ENVELOPE_MOST_BYTES", 200)
    scene = Scene()
    (answer,) = answers_to(scene, b"\0\0ORCPT=rfc822;" + b"a" * 90)
    assert answer.letter == "D" and "#5.5.3" in answer.text
    assert not scene.queue.taken
    (answer,) = answers_to(scene, b"\0\0ORCPT=rfc822;" + b"a" * 60)
    assert answer.letter == "K"


async def test_another_host_has_no_such_way() -> None:
    scene = Scene()
    host = Bringer("qmqp", "192.0.2.1", 1000)
    (answer,) = answers_to(scene, b"a@b.test\0RET=HDRS\0", host)
    assert answer.letter == "D" and "#5.1.3" in answer.text
