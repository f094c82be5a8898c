import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pytest

from paperpath.queue import writer as writer_module
from paperpath.queue.writer import Writer
from paperpath.store.contract import Defer, Finish, NewMessage, NewRecipient, Store, StoreBroken, StoreFull
from tests.unit.queue.scene import CONTENT, NOW


class Memory:
    """A store that writes down what one transaction after another is asked for."""

    def __init__(self) -> None:
        self.transactions: list[list[str]] = []
        """Those that were committed."""
        self.trouble: Callable[[list[str]], None] = lambda _: None
        """Called before each commit with what it holds; raises what the commit is to end with."""
        self.closed = False
        self.rests = 0
        self._open: list[str] = []

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._open = []
        yield
        self.trouble(self._open)
        self.transactions.append(self._open)

    def note(self, text: str) -> str:
        self._open.append(text)
        return text

    def accept(self, messages: Sequence[NewMessage]) -> None:
        for message in messages:
            self.note(f"accept {message.message}")

    def settle(self, defers: Sequence[Defer], finishes: Sequence[Finish], now: int) -> list[int]:
        for message in [defer.message for defer in defers] + [finish.message for finish in finishes]:
            self.note(f"settle {message}")
        return [finish.message for finish in finishes]

    def rest(self) -> bool:
        self.rests += 1
        return self.rests < 3

    def close(self) -> None:
        self.closed = True


class Scene:
    """A writer over such a store, and what it answered."""

    def __init__(self) -> None:
        self.store = Memory()
        self.broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.writer = Writer(cast(Store, self.store), self.broken.set_result)
        self.answers: dict[str, Any] = {}

    def answer(self, name: str) -> Callable[[Any], None]:
        def done(result: Any) -> None:
            assert name not in self.answers
            self.answers[name] = result

        return done

    def accept(self, message: int) -> None:
        self.writer.accept(new(message), self.answer(f"accept {message}"))

    def settle(self, message: int, *follow_up: int) -> None:
        finish = Finish(message, 0)
        self.writer.settle([new(one) for one in follow_up], [], [finish], self.answer(f"settle {message}"))

    def call(self, name: str) -> None:
        self.writer.call(lambda _: self.store.note(name), self.answer(name))

    async def durable(self) -> None:
        """Return once all that was asked for is answered."""
        await self.writer.ask(lambda _: None)

    def close(self) -> None:
        self.writer.stop()


def new(message: int) -> NewMessage:
    to = (NewRecipient(b"a@far.test", "remote", "far.test", True),)
    return NewMessage(message, b"", b"", CONTENT, len(CONTENT), NOW, "test", False, to)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    scene.close()


async def test_what_is_asked_for_in_one_turn_is_one_commit(scene: Scene) -> None:
    scene.accept(1)
    scene.settle(2)
    scene.call("look")
    await scene.durable()
    assert scene.store.transactions == [["accept 1", "settle 2", "look"]]
    assert scene.answers == {"accept 1": None, "settle 2": [2], "look": "look"}


async def test_what_comes_with_an_answer_is_the_next_commit(scene: Scene) -> None:
    scene.writer.accept(new(1), lambda _: scene.settle(1))
    scene.accept(2)
    await scene.durable()
    await scene.durable()
    assert scene.store.transactions[:2] == [["accept 1", "accept 2"], ["settle 1"]]


async def test_works_of_one_transaction_are_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_WORKS_MOST", 3)
    for message in range(5):
        scene.accept(message)
    await scene.durable()
    assert list(map(len, scene.store.transactions)) == [3, 2]
    assert len(scene.answers) == 5


async def test_acceptances_come_first_then_outcomes_then_the_rest(scene: Scene) -> None:
    scene.call("look")
    scene.settle(1, 10)
    scene.accept(2)
    scene.settle(3, 30)
    await scene.durable()
    assert scene.store.transactions == [["accept 10", "accept 2", "accept 30", "settle 1", "settle 3", "look"]]


async def test_each_is_told_of_its_own_messages_only(scene: Scene) -> None:
    scene.settle(1)
    scene.settle(2)
    scene.writer.settle([], [Defer(3, 0, NOW, "no")], [], scene.answer("defer"))
    await scene.durable()
    assert scene.answers == {"settle 1": [1], "settle 2": [2], "defer": []}


async def test_one_that_fails_is_done_alone_and_spoils_no_other(scene: Scene) -> None:
    defect = ValueError("odd")

    def trouble(asked: list[str]) -> None:
        if "settle 2" in asked:
            raise defect

    scene.store.trouble = trouble
    scene.accept(1)
    scene.settle(2, 20)
    scene.call("look")
    await scene.durable()
    assert scene.store.transactions[:2] == [["accept 1"], ["look"]]
    assert scene.answers == {"accept 1": None, "settle 2": defect, "look": "look"}


async def test_ask_raises_what_went_wrong(scene: Scene) -> None:
    def fail(_: Store) -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await scene.writer.ask(fail)
    assert not scene.broken.done()


async def test_asker_that_went_away_is_no_trouble(scene: Scene) -> None:
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    asking = asyncio.create_task(scene.writer.ask(lambda _: None))
    await asyncio.sleep(0)
    asking.cancel()
    scene.accept(1)
    await scene.durable()
    assert scene.answers == {"accept 1": None}
    assert heard == []


async def test_callback_that_fails_silences_no_other(scene: Scene) -> None:
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))

    def done(_: object) -> None:
        raise RuntimeError("a defect")

    scene.writer.accept(new(1), done)
    scene.accept(2)
    await scene.durable()
    assert scene.answers == {"accept 2": None}
    assert [str(context["exception"]) for context in heard] == ["a defect"]


async def test_full_store_refuses_what_brings_mail_and_settles_the_rest(scene: Scene) -> None:
    full = StoreFull("no room")

    def trouble(asked: list[str]) -> None:
        if any(one.startswith("accept") for one in asked):
            raise full

    scene.store.trouble = trouble
    scene.accept(1)
    scene.settle(2, 20)
    scene.settle(3)
    scene.call("look")
    await scene.durable()
    assert scene.store.transactions[0] == ["settle 3", "look"]
    assert scene.answers == {"accept 1": full, "settle 2": full, "settle 3": [3], "look": "look"}


async def test_store_too_full_to_settle_says_so_and_goes_on(scene: Scene) -> None:
    full = StoreFull("no room")

    def trouble(_: list[str]) -> None:
        raise full

    scene.store.trouble = trouble
    scene.accept(1)
    scene.settle(2)
    with pytest.raises(StoreFull):
        await scene.durable()
    assert scene.answers == {"accept 1": full, "settle 2": full}
    scene.store.trouble = lambda _: None
    scene.settle(3)
    await scene.durable()
    assert scene.answers["settle 3"] == [3]


async def test_broken_store_answers_nothing() -> None:
    scene = Scene()

    def trouble(_: list[str]) -> None:
        raise StoreBroken("the disk lied")

    scene.store.trouble = trouble
    scene.accept(1)
    scene.settle(2)
    assert await scene.broken == "the disk lied"
    scene.accept(3)
    scene.writer.stop()
    assert not scene.answers
    assert not scene.store.closed


async def test_store_that_breaks_while_works_are_done_one_by_one_answers_nothing() -> None:
    scene = Scene()

    def trouble(asked: list[str]) -> None:
        if len(asked) > 1:
            raise ValueError("odd")
        if asked == ["settle 2"]:
            raise StoreBroken("the disk lied")

    scene.store.trouble = trouble
    scene.accept(1)
    scene.settle(2)
    assert await scene.broken == "the disk lied"
    scene.writer.stop()
    assert not scene.answers


async def test_stopping_delivers_the_last_answers() -> None:
    scene = Scene()
    scene.accept(1)
    scene.settle(2)
    scene.writer.stop()
    assert scene.answers == {"accept 1": None, "settle 2": [2]}
    assert scene.store.closed
    assert not scene.broken.done()


async def test_what_comes_after_the_end_is_not_answered_and_is_no_broken_store() -> None:
    scene = Scene()
    scene.writer.stop()
    scene.accept(1)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not scene.store.transactions
    assert not scene.answers
    assert not scene.broken.done()


async def test_store_rests_when_nothing_is_asked_as_often_as_it_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_REST_AFTER_S", 0.0)
    scene = Scene()
    while scene.store.rests < 3:
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    assert scene.store.rests == 3
    scene.accept(1)
    await scene.durable()
    while scene.store.rests < 4:
        await asyncio.sleep(0)


async def test_stopping_commits_more_than_one_transaction_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "_WORKS_MOST", 2)
    scene = Scene()
    for message in range(5):
        scene.accept(message)
    scene.close()
    assert len(scene.answers) == 5
    assert scene.store.closed
