import pytest

from paperpath.base.outcome import Deferred, Delivered, Failed, Outcome
from paperpath.queue import journal as journal_module
from paperpath.queue.endings import Ending, Settlement
from paperpath.queue.journal import NO_REPORT_ON_DOUBLE_BOUNCE, Journal
from paperpath.store.contract import Interrupted, NewMessage, NewRecipient
from tests.unit.queue.scene import CONTENT, NOW, Lines, make_work

OK = Delivered("taken", "mail.far.test")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    monkeypatch.setattr(journal_module, "now", lambda: float(NOW + 10))
    return Lines()


def settle(lines: Lines, *outcomes: Outcome, report: str = "", done: bool = False) -> None:
    work = make_work(count=len(outcomes))
    endings = tuple(Ending(to, outcome, NOW + 410) for to, outcome in zip(work.recipients, outcomes, strict=True))
    Journal(lines.log).settled(work, Settlement(1, endings), report, done, 0.5)


def test_one_line_a_recipient(lines: Lines) -> None:
    settle(lines, OK, OK, Deferred("busy", code="4.1"), Failed("no", code="1.1"), report="7")
    assert [line.split()[2] for line in lines.lines] == [
        "delivery.delivered",
        "delivery.delivered",
        "delivery.deferred",
        "delivery.failed",
    ]
    assert all(f"recipient=r{number}@far.test" in line for number, line in enumerate(lines.lines))


def test_lines_say_what_happened(lines: Lines) -> None:
    settle(lines, OK, Deferred("busy", code="4.1"), Failed("no", code="1.1"), report="7")
    delivered, deferred, failed = lines.lines
    for field in ("message=1", "channel=remote", "destination=far.test", "host=mail.far.test", "duration_s=0.500"):
        assert field in delivered
    for field in ("status=4.4.1", "attempts=1", "next_s=400", "text=busy"):
        assert field in deferred
    assert "host=" not in deferred
    for field in ("status=5.1.1", "report=7", "text=no"):
        assert field in failed


def test_last_recipient_ends_the_message(lines: Lines) -> None:
    settle(lines, OK, done=True)
    assert [line.split()[2] for line in lines.lines] == ["delivery.delivered", "message.done"]
    assert "age_s=10" in lines.lines[1]


def test_failure_that_nobody_is_told_about_has_a_line_of_its_own(lines: Lines) -> None:
    settle(lines, Failed("no"), OK, report=NO_REPORT_ON_DOUBLE_BOUNCE)
    assert len(lines.with_event("bounce.dropped")) == 1
    assert len(lines.lines) == 3


def test_strangers_bytes_stay_on_their_line(lines: Lines) -> None:
    settle(lines, Delivered("a\nb\x1b[2J\u202e"))
    (line,) = lines.lines
    assert line.isprintable()


def test_other_lines(lines: Lines) -> None:
    journal = Journal(lines.log)
    to = (NewRecipient(b"a@far.test", "remote", "far.test", True),)
    journal.accepted(NewMessage(1, b"s@far.test", b"", CONTENT, len(CONTENT), NOW, "smtp 192.0.2.1", False, to))
    journal.agent_gone("alice", 2)
    journal.interrupted(Interrupted(1, 0, b"a@far.test", "far.test"))
    journal.room.lacks("no room")
    journal.broken("routing", KeyError("x"))
    assert [line.split()[2] for line in lines.lines] == [
        "message.accepted",
        "agent.gone",
        "delivery.interrupted",
        "storage.full",
        "process.broken",
    ]
    assert "recipients=1" in lines.lines[0] and 'origin="smtp 192.0.2.1"' in lines.lines[0]
