"""`queue` as a process: the store, the deliveries and the sockets put together."""

import os
from typing import NoReturn

from paperpath.process.child import Listeners
from paperpath.process.doors import Doors
from paperpath.process.settings import QueueSettings
from paperpath.queue.contents import Contents
from paperpath.queue.delivery import Deliveries
from paperpath.queue.intake import Intake
from paperpath.queue.journal import Journal
from paperpath.queue.operator import Operators
from paperpath.queue.writer import Writer
from paperpath.store.contract import Interrupted, Store, StoreBroken, StoreFull, StoreUnusable, Totals
from paperpath.store.sqlite import SqliteStore
from paperpath.system.clock import now
from paperpath.telemetry.events import QueueOpened, StorageBroken, StorageUnusable
from paperpath.telemetry.log import Log

_EXIT_STORAGE = 111


class QueueRole:
    """The process between its first settings and its end."""

    def __init__(self, log: Log) -> None:
        self._journal = Journal(log)
        self._writer: Writer | None = None
        self._deliveries: Deliveries | None = None
        self._doors = Doors()

    async def configure(self, settings: QueueSettings, listeners: Listeners) -> None:
        """Open the store and the sockets; or take over new settings."""
        if self._deliveries is None:
            await self._open(settings)
        assert self._deliveries is not None
        self._deliveries.configure(settings)
        self._listen(settings, listeners)

    async def drain(self, grace_s: float) -> None:
        """Take nothing more, let what is under way end, close the store."""
        self._doors.close()
        if self._deliveries is None or self._writer is None:
            return
        await self._deliveries.drain(grace_s)
        self._intake.close()
        self._operators.close()
        self._deliveries.close()
        self._writer.stop()

    async def _open(self, settings: QueueSettings) -> None:
        store = SqliteStore(settings.folder)
        interrupted = self._opened(store)
        self._writer = Writer(store, self._broken)
        contents = Contents(store.content_folder)
        last_message, totals = await self._writer.ask(_last_and_totals)
        self._deliveries = Deliveries(settings, self._writer, contents, self._journal, last_message)
        self._intake = Intake(self._deliveries, contents, self._journal)
        self._operators = Operators(self._deliveries, self._writer, self._journal)
        self._journal.log.emit(
            QueueOpened(messages=totals.messages, recipients=totals.recipients, interrupted=store.interrupted)
        )
        for delivery in interrupted:
            self._journal.interrupted(delivery)

    def _opened(self, store: Store) -> tuple[Interrupted, ...]:
        """Open the store; raise ValueError where that cannot be done: the supervisor is told why, and has it tried
        again."""
        try:
            return store.open(int(now()))
        except StoreBroken as error:
            self._journal.log.emit(StorageBroken(error=str(error)))
            raise ValueError(str(error)) from None
        except (StoreUnusable, StoreFull) as error:
            self._journal.log.emit(StorageUnusable(error=str(error)))
            raise ValueError(str(error)) from None

    def _listen(self, settings: QueueSettings, listeners: Listeners) -> None:
        assert self._deliveries is not None
        doors = {
            "intake": (settings.intake_users, self._intake.connected),
            "remote": (settings.remote_users, self._deliveries.remote_connected),
            "control": (settings.operator_users, self._operators.connected),
        }
        self._doors.serve(listeners, doors)

    def _broken(self, error: str) -> NoReturn:
        """The store failed: end at once, acknowledging nothing; the next opening recovers from what is on the disk."""
        self._journal.log.emit(StorageBroken(error=error))
        self._journal.log.flush()
        os._exit(_EXIT_STORAGE)


def _last_and_totals(store: Store) -> tuple[int, Totals]:
    return store.last_id(), store.totals(int(now()))
