"""`paperpath ban`, with a guard that answers what the test says."""

import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from paperpath.system import clock
from paperpath.wire import guard
from tests.unit.cli.conftest import Run
from tests.unit.cli.control_server import ControlServer

NOW = 1_800_000_000
EVIDENCE = (guard.Evidence(NOW - 5, "login-failed", "joe\x1b[2J"),)
BAN = guard.BanView("192.0.2.1", NOW - 60, NOW + 7200, "failed logins", "guard", 2, 1234, EVIDENCE)


@pytest.fixture(autouse=True)
def given_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: float(NOW))


def serving(folder: Path, answer: Callable[[msgspec.Struct], msgspec.Struct | None]) -> ControlServer:
    return ControlServer(str(folder / "run" / "guard.control"), answer, guard.FromOperator)


def test_list_goes_through_all_pages(run: Run, configured: Path) -> None:
    def answer(request: msgspec.Struct) -> msgspec.Struct:
        assert isinstance(request, guard.ListBans)
        other = msgspec.structs.replace(BAN, network="203.0.113.0/24", until=0)
        return guard.BanPage((other,), more=False) if request.after else guard.BanPage((BAN,), more=True)

    with serving(configured, answer):
        people = run("ban", "list")
        shown = json.loads(run("ban", "list", "--json").output)
    lines = [line.split(maxsplit=6) for line in people.stdout.splitlines()]
    assert lines[1] == ["192.0.2.1", "1m", "2h", "2", "1,234", "guard", "failed logins"]
    assert lines[2][:3] == ["203.0.113.0/24", "1m", "never"]
    assert people.stderr == "2 bans\n"
    assert [(one["network"], one["until"]) for one in shown] == [("192.0.2.1", NOW + 7200), ("203.0.113.0/24", None)]


def test_no_bans(run: Run, configured: Path) -> None:
    with serving(configured, lambda _: guard.BanPage((), more=False)):
        assert run("ban", "list").output == "0 bans\n"
        assert json.loads(run("ban", "list", "--json").output) == []


def test_why_shows_the_evidence_and_nothing_raw(run: Run, configured: Path) -> None:
    with serving(configured, lambda _: BAN) as server:
        people = run("ban", "why", "::ffff:192.0.2.1").output
        shown = json.loads(run("ban", "why", "192.0.2.1", "--json").output)
    assert people.splitlines()[0] == "192.0.2.1 is banned until 2027-01-15T10:00:00Z, in 2h: failed logins"
    assert people.splitlines()[-1].endswith("login-failed  joe\\x1b[2J")
    assert "\x1b" not in people
    assert shown["evidence"] == [{"at": NOW - 5, "offence": "login-failed", "detail": "joe\x1b[2J"}]
    assert server.requests == [guard.ExplainBan("192.0.2.1")] * 2


def test_what_is_left_counts_begun_seconds(run: Run, configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW + 0.6)
    with serving(configured, lambda _: BAN):
        assert run("ban", "why", "192.0.2.1").output.splitlines()[0].endswith("in 2h: failed logins")


def test_why_of_what_is_not_banned_yet(run: Run, configured: Path) -> None:
    with serving(configured, lambda _: msgspec.structs.replace(BAN, since=0)):
        assert run("ban", "why", "192.0.2.1").output.startswith(
            "192.0.2.1 is not banned; it was banned 2 times before\n"
        )


@pytest.mark.parametrize(
    ("around", "told"),
    [
        (msgspec.structs.replace(BAN, network="192.0.2.0/24"), "it is banned with 192.0.2.0/24; `paperpath ban remove"),
        (msgspec.structs.replace(BAN, network="192.0.2.0/24", since=0), "is not banned, and nothing counts against it"),
        (guard.NoBan("192.0.2.9"), "is not banned, and nothing counts against it"),
    ],
)
def test_the_ban_of_a_network_is_lifted_by_its_name(
    run: Run, configured: Path, around: guard.BanView | guard.NoBan, told: str
) -> None:
    def answer(request: msgspec.Struct) -> msgspec.Struct:
        return guard.NoBan("192.0.2.9") if isinstance(request, guard.RemoveBan) else around

    with serving(configured, answer) as server:
        done = run("ban", "remove", "192.0.2.9")
    assert done.exit_code == 100
    assert told in done.output
    assert server.requests[1:] == [guard.ExplainBan("192.0.2.9")]


def test_add_and_remove(run: Run, configured: Path) -> None:
    with serving(configured, lambda _: BAN) as server:
        added = run("ban", "add", "192.0.2.77/24", "--for", "12h", "--reason", "spam")
        assert run("ban", "add", "2001:DB8::/32", "--json").exit_code == 0
        removed = run("ban", "remove", "192.0.2.1")
    assert added.output == "192.0.2.1 is banned until 2027-01-15T10:00:00Z, in 2h\n"
    assert removed.output == "192.0.2.1 is served again\n"
    first, second, third = server.requests
    assert isinstance(first, guard.AddBan) and first.operator
    assert (first.network, first.for_s, first.reason) == ("192.0.2.0/24", 12 * 3600, "spam")
    assert isinstance(second, guard.AddBan) and (second.network, second.for_s) == ("2001:db8::/32", 0)
    assert isinstance(third, guard.RemoveBan) and third.network == "192.0.2.1"


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (guard.NoBan("192.0.2.1"), 100, "is not banned"),
        (guard.BanRefused("192.0.2.1 is a trusted network"), 100, "trusted network"),
        (None, 111, "the guard at"),
    ],
)
def test_what_goes_wrong_is_said(
    run: Run, configured: Path, answer: msgspec.Struct | None, code: int, told: str
) -> None:
    with serving(configured, lambda _: answer):
        done = run("ban", "why", "192.0.2.1")
    assert done.exit_code == code
    assert told in done.output


@pytest.mark.parametrize(
    "arguments",
    [
        ("why", "nonsense"),
        ("add", "1.2.3.4/99"),
        ("add", "1.2.3.4", "--for", "soon"),
        ("add", "1.2.3.4", "--for", "0"),
        (),
    ],
)
def test_what_makes_no_sense_is_asked_of_nobody(run: Run, configured: Path, arguments: tuple[str, ...]) -> None:
    assert run("ban", *arguments).exit_code in {64, 0 if not arguments else 64}


def test_without_a_server(run: Run, configured: Path) -> None:
    done = run("ban", "list")
    assert done.exit_code == 111
    assert "the server does not run" in done.output
