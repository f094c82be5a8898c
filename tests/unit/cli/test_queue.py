"""`paperpath queue` against a queue that speaks the real frames."""

import json
import os
from pathlib import Path

import msgspec
import pytest

from paperpath.base.ids import show_id
from paperpath.base.terms import MessageTerms, RecipientTerms
from paperpath.system import clock
from paperpath.wire import control
from tests.unit.cli.conftest import Run
from tests.unit.cli.control_server import Answer, ControlServer

NOW = 1_800_000_000
ID = 1_799_999_000_000_001
NAME = show_id(ID)

RECIPIENT = control.RecipientView(
    0, b"joe@\x1b[31mevil.test", "remote", "evil.test", "waiting", NOW + 185, 3, "timed out\nwhile waiting"
)
MESSAGE = control.MessageView(
    ID, b"me@here.test", NOW - 300, 4200, "smtp 192.0.2.1", False, 2,
    (RECIPIENT, control.RecipientView(1, b"x@y.test", "local", "x@y.test", "under-way", NOW, 0, "")),
    (control.HistoryView(NOW - 300, "accepted"), control.HistoryView(NOW - 100, "deferred: \x1b]0;evil")),
)  # fmt: skip
NUMBERS = control.Numbers(3, 7, 1, 2, 1, 4, NOW - 7200, 5_000_000)


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: float(NOW))


def serving(trial: Path, answer: Answer) -> ControlServer:
    return ControlServer(str(trial / "run" / "queue.control"), answer)


def always(answer: msgspec.Struct | bytes | None) -> Answer:
    return lambda _: answer


def test_stats(run: Run, configured: Path) -> None:
    with serving(configured, lambda _: NUMBERS) as server:
        shown = json.loads(run("queue", "stats", "--json").output)
        people = run("queue", "stats").output
    assert (shown["messages"], shown["recipients"], shown["deferred"]) == (3, 7, 4)
    assert server.requests == [control.Statistics()] * 2
    assert people.splitlines()[-1].split() == ["oldest", "message", "2h"]
    assert "4.8 MiB" in people


def test_list_goes_on_to_the_last_page(run: Run, configured: Path) -> None:
    def answer(request: msgspec.Struct) -> msgspec.Struct:
        assert isinstance(request, control.ListMessages)
        first = request.after + 1
        page = tuple(msgspec.structs.replace(MESSAGE, message=number) for number in range(first, first + 3))
        return control.Page(page, more=request.after < 6)

    with serving(configured, answer) as server:
        shown = json.loads(run("queue", "list", "--json", "--sender", "me", "--held").output)
        people = run("queue", "list")
    assert [one["id"] for one in shown] == [show_id(number) for number in range(1, 10)]
    assert [one.after for one in server.requests[:3] if isinstance(one, control.ListMessages)] == [0, 3, 6]
    assert all(
        isinstance(one, control.ListMessages) and one.sender == b"me" and one.held_only for one in server.requests[:3]
    )
    lines = people.stdout.splitlines()
    assert len(lines) == 10
    assert lines[1].split() == ["1", "5m", "4.1", "KiB", "2", "-", "me@here.test"]
    assert people.stderr == "9 messages\n"


def test_an_empty_list(run: Run, configured: Path) -> None:
    with serving(configured, lambda _: control.Page((), more=False)):
        assert json.loads(run("queue", "list", "--json").output) == []
        assert run("queue", "list").output == "0 messages\n"


@pytest.mark.parametrize("arguments", [("show",), ("trace",), ("show", "--json"), ("trace", "--json")])
def test_nothing_that_a_stranger_wrote_reaches_the_terminal_raw(
    run: Run, configured: Path, arguments: tuple[str, ...]
) -> None:
    with serving(configured, lambda _: MESSAGE) as server:
        done = run("queue", *arguments, NAME)
    assert done.exit_code == 0, done.output
    assert server.requests == [control.ShowMessage(ID)]
    assert "\x1b" not in done.output
    assert "joe@" in done.output


def test_show_and_trace_tell_where_it_is(run: Run, configured: Path) -> None:
    with serving(configured, lambda _: MESSAGE):
        shown = run("queue", "show", NAME).output
        traced = run("queue", "trace", NAME).output
    assert f"message   {NAME}" in shown
    assert "in 3m" in shown
    assert "timed out while waiting" in shown
    assert "x@y.test: being delivered, local to x@y.test" in traced
    assert "waits, remote to evil.test, next attempt in 3m, tried 3 times: timed out while waiting" in traced


def test_show_tells_what_was_asked_for(run: Run, configured: Path) -> None:
    mail = MessageTerms("HDRS", b"id", True, "for;60", NOW + 60, NOW + 120, "N", True, -2)
    rcpt = RecipientTerms("SUCCESS,DELAY", b"rfc822;joe@old.test", delay_told=True)
    asking = msgspec.structs.replace(MESSAGE.recipients[1], terms=rcpt)
    view = msgspec.structs.replace(MESSAGE, terms=mail, recipients=(MESSAGE.recipients[0], asking))
    with serving(configured, lambda _: view):
        shown = run("queue", "show", NAME).output
        known = json.loads(run("queue", "show", NAME, "--json").output)
    wishes = [
        "RET=HDRS", "ENVID=id", "REQUIRETLS", "no attempt before 2027-01-15T08:01:00Z",
        "delivery by 2027-01-15T08:02:00Z (BY NT)", "MT-PRIORITY=-2",
    ]  # fmt: skip
    assert "asks for  " + ", ".join(wishes) + "\n" in shown
    assert "x@y.test asks for NOTIFY=SUCCESS,DELAY, ORCPT=rfc822;joe@old.test, (delay reported)\n" in shown
    assert shown.count("asks for") == 2
    assert known["asks_for"] == wishes
    assert [one["asks_for"] for one in known["recipients"]] == [
        [], ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;joe@old.test", "(delay reported)"],
    ]  # fmt: skip


def test_show_content(run: Run, configured: Path) -> None:
    content = control.Content(b"Received: x\n", b"Subject: \x1b[2J\n\nhi\n", 40)
    with serving(configured, lambda _: content) as server:
        done = run("queue", "show", NAME, "--content")
    assert done.stdout == "Received: x\nSubject: \\x1b[2J\n\nhi\n"
    assert done.stderr == "… 22 bytes more\n"
    assert server.requests == [control.ReadContent(ID, 65536)]


def test_why(run: Run, configured: Path) -> None:
    waits = control.Waits(
        (control.Why(0, b"joe@x.test", "refused: 450 later", NOW + 3700), control.Why(1, b"b", "held", 0))
    )
    with serving(configured, lambda _: waits) as server:
        people = run("queue", "why", NAME).output
        shown = json.loads(run("queue", "why", NAME, "--json").output)
    assert people.splitlines()[0].startswith("joe@x.test: refused: 450 later; until 2")
    assert people.splitlines()[1] == "b: held"
    assert shown[0] == {"number": 0, "address": "joe@x.test", "reason": "refused: 450 later", "until": NOW + 3700}
    assert server.requests == [control.ExplainWait(ID)] * 2


@pytest.mark.parametrize("verb", ["hold", "release", "retry", "remove"])
def test_operations_name_messages_or_all(run: Run, configured: Path, verb: str) -> None:
    with serving(configured, lambda _: control.Done(1)) as server:
        assert run("queue", verb, NAME, NAME.upper()).exit_code == 0
        everything = ("--all", "--yes") if verb == "remove" else ("--all",)
        assert run("queue", verb, *everything, "--json").output == '{"touched": 1}\n'
        for wrong in ((), (NAME, "--all"), ("u!",)):
            assert run("queue", verb, *wrong).exit_code == 64
    asked = [(one.verb, one.messages) for one in server.requests if isinstance(one, control.Operate)]
    assert asked == [(verb, (ID,)), (verb, ())]
    assert all(isinstance(one, control.Operate) and one.operator for one in server.requests)


def test_messages_that_were_not_touched_are_an_error(run: Run, configured: Path) -> None:
    with serving(configured, lambda _: control.Done(1)):
        done = run("queue", "hold", "a", "b", "c")
    assert done.exit_code == 100
    assert "2 messages not in the queue" in done.output


def test_remove_all_needs_a_yes_where_nobody_can_be_asked(run: Run, configured: Path) -> None:
    with serving(configured, lambda _: control.Done(1)) as server:
        assert run("queue", "remove", "--all").exit_code == 64
    assert server.requests == []


@pytest.mark.parametrize(("answer", "code"), [("n\n", 111), ("y\n", 0)])
def test_remove_asks_on_a_terminal(
    run: Run, configured: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int
) -> None:
    monkeypatch.setattr("paperpath.cli.queue.somebody_is_there", lambda: True)
    with serving(configured, lambda _: control.Done(1)) as server:
        assert run("queue", "remove", NAME, text=answer).exit_code == code
    assert len(server.requests) == (code == 0)


def test_what_the_queue_cannot_do(run: Run, configured: Path) -> None:
    cases: list[tuple[msgspec.Struct | bytes | None, int, str]] = [
        (control.NoSuchMessage(ID), 100, f"message {NAME} is not in the queue"),
        (control.Trouble("busy"), 111, "busy"),
        (control.Done(1), 100, "answer to another question"),
        (b"\xff\xff\xff\xff", 111, "not understood"),
        (b"\x00\x00\x00\x01\xc0", 111, "not understood"),
        (None, 111, "hung up"),
    ]
    for answer, code, words in cases:
        with serving(configured, always(answer)):
            done = run("queue", "show", NAME)
        assert (done.exit_code, words in done.output) == (code, True), done.output
        assert len(done.output.splitlines()) == 1


def test_a_server_that_does_not_run_is_temporary(run: Run, configured: Path) -> None:
    for arguments in (("stats",), ("list", "--json"), ("show", NAME), ("retry", "--all")):
        done = run("queue", *arguments)
        assert done.exit_code == 111
        assert "does not run" in done.output
    with serving(configured, lambda _: NUMBERS):
        os.rename(configured / "run" / "queue.control", configured / "run" / "aside")
        (configured / "run" / "queue.control").touch()
        assert run("queue", "stats").exit_code == 111
