"""Between `auth` and its helpers: what a helper's answer comes to, and how a helper answers."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from paperpath.auth import answering as answering_module
from paperpath.auth.answering import Answering
from paperpath.auth.helper import Helper
from paperpath.auth.verdict import Identity, Unknown, Verdict
from paperpath.wire.frame import Hello
from paperpath.wire.logins import LoggedIn, LoginAnswer, LoginRefused
from paperpath.wire.outside import Checked, CheckOutside, ToOutside
from tests.unit.auth.scene import Scene, Talk, scene
from tests.unit.process.peer import Peer, listening

# --- asking ------------------------------------------------------------------------------------------------


@asynccontextmanager
async def helped(folder: Path) -> AsyncIterator[tuple[Scene, Peer]]:
    """An `auth` whose only backend is PAM, with its helper played by the test."""
    with listening(folder / "auth.outside", ToOutside) as helper:
        async with scene(folder, backends=("pam",)) as auth:
            await helper.channels.get()
            assert isinstance(await helper.heard.get(), Hello)
            yield auth, helper


def login(auth: Scene, password: bytes = b"secret") -> Talk:
    return auth.begin("PLAIN", b"\0you@example.test\0" + password)


def came_to(answer: LoginAnswer) -> str:
    if isinstance(answer, LoginRefused):
        return "not now" if answer.temporary else "no"
    assert isinstance(answer, LoggedIn)
    return answer.account


@pytest.mark.parametrize(
    ("verdict", "account", "expected"),
    [
        ("yes", "you@example.test", "you@example.test"),
        ("yes", "", "not now"),
        ("no", "", "no"),
        ("no", "you@example.test", "no"),
        ("unknown", "", "not now"),
        ("unknown", "you@example.test", "not now"),
        ("perhaps", "you@example.test", "not now"),
        ("", "", "not now"),
    ],
)
async def test_only_a_clear_answer_decides(tmp_path: Path, verdict: str, account: str, expected: str) -> None:
    async with helped(tmp_path) as (auth, helper):
        talk = login(auth)
        asked = await helper.heard.get()
        assert asked == CheckOutside(1, "pam", "you@example.test", b"secret", "192.0.2.1")
        helper.send(Checked(1, verdict, account))
        assert came_to(await talk.answer()) == expected


async def test_each_gets_its_own_answer_and_what_was_right_is_not_asked_again(tmp_path: Path) -> None:
    async with helped(tmp_path) as (auth, helper):
        talks = [login(auth, password) for password in (b"wrong", b"right")]
        tickets = {asked.password: asked.ticket for asked in [await helper.heard.get() for _ in talks]}
        helper.send(Checked(tickets[b"right"], "yes", "you@example.test"))
        helper.send(Checked(tickets[b"wrong"], "no"))
        assert [came_to(await talk.answer()) for talk in talks] == ["no", "you@example.test"]
        assert came_to(await login(auth, b"right").answer()) == "you@example.test"
        again = login(auth, b"wrong")
        assert (await helper.heard.get()).password == b"wrong"
        helper.send(Checked(3, "no"))
        assert came_to(await again.answer()) == "no"


async def test_who_waits_for_a_helper_that_ends_is_put_off(tmp_path: Path) -> None:
    async with helped(tmp_path) as (auth, helper):
        talk = login(auth)
        await helper.heard.get()
        helper.hang_up()
        assert came_to(await talk.answer()) == "not now"


@pytest.mark.parametrize("ticket", [0, -1, 2])
async def test_an_answer_that_nobody_asked_for_ends_the_conversation(tmp_path: Path, ticket: int) -> None:
    async with helped(tmp_path) as (auth, helper):
        talk = login(auth)
        await helper.heard.get()
        helper.send(Checked(ticket, "yes", "you@example.test"))
        assert came_to(await talk.answer()) == "not now"
        await helper.channels.get()


# --- answering ---------------------------------------------------------------------------------------------


@contextmanager
def answered_by(
    folder: Path, judge: Callable[[CheckOutside], Checked]
) -> Iterator[Callable[[str], "asyncio.Task[Verdict]"]]:
    """Something that answers by ``judge``, in this process; yields how to ask it about a name."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "door"))
    listener.listen()
    answering = Answering[CheckOutside](ToOutside, "judging")
    answering.serve([("door", listener)], (), judge)
    helper = Helper(str(folder / "door"))

    def ask(name: str) -> "asyncio.Task[Verdict]":
        return asyncio.create_task(helper.ask(lambda ticket: CheckOutside(ticket, "pam", name, b"", "")))

    try:
        yield ask
    finally:
        helper.close()
        answering.close()


async def once_up(ask: Callable[[str], "asyncio.Task[Verdict]"]) -> Verdict:
    """Ask until somebody is there; return the first answer."""
    while isinstance(verdict := await ask("first"), Unknown) and "away" in verdict.reason:
        await asyncio.sleep(0)
    return verdict


async def test_each_question_is_judged_and_a_defect_says_nothing_of_the_password(tmp_path: Path) -> None:
    def judge(asked: CheckOutside) -> Checked:
        if asked.name == "broken":
            raise ZeroDivisionError
        return Checked(0, "no") if asked.name == "nobody" else Checked(0, "yes", account=asked.name)

    with answered_by(tmp_path, judge) as ask:
        assert await once_up(ask) == Identity("first")
        names = ["ann", "broken", "nobody", "bob"]
        ann, broken, nobody, bob = await asyncio.gather(*map(ask, names))
        assert (ann, nobody, bob) == (Identity("ann"), None, Identity("bob"))
        assert isinstance(broken, Unknown) and "ZeroDivisionError" in broken.reason


async def test_questions_in_line_are_bounded_and_places_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answering_module, "_WAITING_MOST", 2)
    go_on = threading.Event()

    def judge(asked: CheckOutside) -> Checked:
        if asked.name != "first" and not go_on.wait(30):
            raise TimeoutError
        return Checked(0, "yes", account=asked.name)

    with answered_by(tmp_path, judge) as ask:
        await once_up(ask)
        waiting = [ask("a"), ask("b")]
        refused = await ask("c")
        assert isinstance(refused, Unknown) and "too many" in refused.reason
        go_on.set()
        assert await asyncio.gather(*waiting) == [Identity("a"), Identity("b")]
        for name in "def":
            assert await ask(name) == Identity(name)


async def test_nobody_is_answered_after_the_end(tmp_path: Path) -> None:
    with answered_by(tmp_path, lambda asked: Checked(0, "yes", account=asked.name)) as ask:
        await once_up(ask)
    with pytest.raises(ConnectionRefusedError), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "door"))
