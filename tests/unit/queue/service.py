"""Deliveries over a real store, with `local` and `remote` played by a test."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from paperpath.base.terms import RecipientTerms
from paperpath.queue.contents import Contents
from paperpath.queue.delivery import Deliveries
from paperpath.queue.jobs import NO_TERMS
from paperpath.queue.journal import Journal
from paperpath.queue.writer import Writer
from paperpath.store.contract import Defer, Finish, NewMessage, StoreBroken, StoreFull, Totals
from paperpath.store.sqlite import SqliteStore
from paperpath.system.clock import now
from paperpath.wire.control import MessageView
from tests.unit.queue.scene import AgentEnd, Lines, agent_pair, consignment, queue_settings, turns


class Watched(SqliteStore):
    """The real store, which tells what each transaction asked for and fails when a test says so."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.transactions: list[list[str]] = []
        self.full = 0
        """How many acceptances fail for want of room."""
        self.breaks = False
        """Whether the disk fails when next an outcome is settled."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self.transactions.append([])
        with super().transaction():
            yield

    def accept(self, messages: Sequence[NewMessage]) -> None:
        self.transactions[-1] += ["accept"] * len(messages)
        if self.full:
            self.full -= 1
            raise StoreFull("no room")
        super().accept(messages)

    def settle(self, defers: Sequence[Defer], finishes: Sequence[Finish], now: int = 0) -> list[int]:
        ended = super().settle(defers, finishes, now)
        self.transactions[-1] += ["defer"] * len(defers) + ["finish"] * len(finishes)
        if self.breaks:
            raise StoreBroken("the disk lied")
        return ended


class Service:
    """Deliveries over a real store; `local` and one `remote` are played by the test."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.settings = queue_settings(folder, **changes)
        self.store = Watched(self.settings.folder)
        self.store.open(int(now()))
        self.broken: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.writer = Writer(self.store, self.broken.set_result)
        self.lines = Lines()
        self.contents = Contents(self.store.content_folder)
        self.deliveries = Deliveries(self.settings, self.writer, self.contents, Journal(self.lines.log), 0)
        self.remote = self.connect()

    def connect(self) -> AgentEnd:
        end, sock = agent_pair()
        self.deliveries.remote_connected(sock)
        return end

    async def bring(
        self, *recipients: bytes, recipient_terms: Mapping[int, RecipientTerms] = NO_TERMS, **changes: Any
    ) -> int:
        """Admit a message; return its id once it is durable."""
        message = self.deliveries.new_message_id()
        admitted: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
        one = consignment(**({"message": message, "birth": int(now())} | changes))
        self.deliveries.admit(one, recipients, "test", admitted.set_result, recipient_terms)
        error = await admitted
        if error is not None:
            raise error
        return message

    async def totals(self) -> Totals:
        return await self.writer.ask(lambda store: store.totals(int(now())))

    async def view(self, message: int) -> MessageView | None:
        return await self.writer.ask(lambda store: store.get(message, 500))

    async def idle(self) -> None:
        """Let claims that are on their way come to nothing; no place is left taken then."""
        for _ in range(20):
            await turns()
            totals = await self.totals()
            if not self.deliveries.window.under_way:
                break
        assert self.deliveries.window.under_way == totals.under_way == 0

    async def nothing_left(self) -> None:
        """Nothing is in the store any more, and no place is taken."""
        await self.idle()
        totals = await self.totals()
        assert (totals.messages, totals.recipients) == (0, 0)

    async def close(self) -> None:
        self.deliveries.close()
        self.deliveries.schedule.stop()
        self.remote.close()
        self.writer.stop()
        assert self.deliveries.window.under_way == 0
