"""What the store costs: ``python -m bench.store [FOLDER] [NAME]...``.

FOLDER (default: a temporary one) decides the file system.  Prints one line for each figure; CPU is of this process
only, the synced writes of the kernel included.  Bars are in the table of `design.md`.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from paperpath.store.contract import Defer, Finish, NewMessage, NewRecipient
from paperpath.store.sqlite import SqliteStore

BIRTH = 1_700_000_000
CHANNELS = frozenset({"local", "remote"})
BODY = os.urandom(2048).hex().encode()
TRACE = b"Received: from client.example by mx.example with ESMTP id 0; date\n" * 5


def show(what: str, value: float, unit: str) -> None:
    print(f"{what:<58} {value:>12,.1f} {unit}", flush=True)


def new(message: int, recipients: tuple[NewRecipient, ...]) -> NewMessage:
    return NewMessage(
        message, b"sender@example.org", TRACE, BODY, len(BODY), BIRTH + message, "smtp", False, recipients
    )


@contextmanager
def opened(folder: Path) -> Iterator[SqliteStore]:
    store = SqliteStore(str(folder))
    store.open(BIRTH)
    yield store
    store.close()


def memory_mb() -> float:
    with open("/proc/self/statm", "rb") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() / 1e6


def lives(store: SqliteStore, first: int, batch: int, batches: int) -> tuple[float, float, float]:
    """Accept and finish ``batch`` messages in each commit; return wall and CPU seconds, and the longest commit."""
    to = (NewRecipient(b"user@destination.example", "remote", "destination.example", True),)
    finishes: list[Finish] = []
    longest, wall, cpu = 0.0, time.perf_counter(), time.process_time()
    for start in range(first, first + batch * batches, batch):
        news = [new(message, to) for message in range(start, start + batch)]
        began = time.perf_counter()
        with store.transaction():
            store.accept(news)
            store.settle([], finishes)
        longest = max(longest, time.perf_counter() - began)
        finishes = [Finish(message, 0) for message in range(start, start + batch)]
    result = time.perf_counter() - wall, time.process_time() - cpu, longest
    with store.transaction():
        store.settle([], finishes)
    return result


def report_lives(store: SqliteStore, first: int, batch: int, batches: int, where: str) -> float:
    """Print the best of five rounds, the neighbours on a shared machine being what differs between them."""
    rounds = [lives(store, first + at * batch * batches, batch, batches) for at in range(5)]
    wall, cpu, longest = (min(figures) for figures in zip(*rounds, strict=True))
    count = batch * batches
    show(f"whole lives, batches of {batch}{where}", count / wall, "messages/s")
    show("    CPU", cpu / count * 1e6, "us/message")
    show("    longest commit", longest * 1e3, "ms")
    return float(cpu / count)


def bench_lives(folder: Path) -> None:
    """Messages of 4 KB with one recipient, accepted under way and finished one batch later."""
    with opened(folder) as store:
        lives(store, 1, 20, 50)
        for at, batch in enumerate((1, 20, 100)):
            report_lives(store, (at + 1) * 1_000_000, batch, 4_000 // max(batch, 10), "")


def bench_backlog(folder: Path, deferred: int = 1_000_000, destinations: int = 1000) -> None:
    """A million recipients wait, at a thousand destinations."""
    with opened(folder) as store:
        lives(store, 1, 20, 50)
        before = report_lives(store, 1_000_000, 20, 200, ", empty store")
        began = time.perf_counter()
        per_message = 100
        message = 10_000_000
        while message < 10_000_000 + deferred // per_message:
            with store.transaction():
                for _ in range(100):
                    store.accept([new(message, _spread(message, per_message, destinations))])
                    message += 1
        show(f"accept {deferred:,} waiting recipients", time.perf_counter() - began, "s")
        show("    database", os.path.getsize(folder / "queue.sqlite") / 1e6, "MB")
        _backlog_figures(store, message + BIRTH, destinations)
        after = report_lives(store, 20_000_000, 20, 200, ", backlog")
        show("    CPU against the empty store", after / before, "x")
        show("process memory", memory_mb(), "MB")


def _spread(message: int, count: int, destinations: int) -> tuple[NewRecipient, ...]:
    return tuple(
        NewRecipient(b"user%d@d%d.example" % (at, at), "remote", f"d{at}.example", False)
        for at in ((message * count + offset) % destinations for offset in range(count))
    )


def _backlog_figures(store: SqliteStore, now: int, destinations: int) -> None:
    timed(store, "due_destinations, 100", lambda: store.due_destinations(now, 100, CHANNELS, frozenset()))
    skip = frozenset(("remote", f"d{at}.example") for at in range(destinations - 10))
    timed(
        store,
        f"due_destinations, {len(skip)} of {destinations} skipped",
        lambda: store.due_destinations(now, 100, CHANNELS, skip),
    )
    timed(store, "next_due", lambda: store.next_due(0))
    timed(store, "claim of 100", lambda: store.claim("remote", "d7.example", now, 100, 100))
    with store.transaction():
        groups = store.claim("remote", "d8.example", now, 100, 100)
    defers = [Defer(group.message, to.number, now, "no") for group in groups for to in group.recipients]
    timed(store, "defer of 100", lambda: store.settle(defers, [], now))
    timed(store, "totals", lambda: store.totals(now))


def timed(store: SqliteStore, what: str, act: Callable[[], object]) -> None:
    began = time.perf_counter()
    with store.transaction():
        act()
    show(what, (time.perf_counter() - began) * 1e3, "ms")


def bench_list(folder: Path, recipients: int = 100_000) -> None:
    """One message to 100,000 recipients, taken away in groups of 100."""
    to = tuple(NewRecipient(b"user%d@sink.example" % at, "remote", "sink.example", False) for at in range(recipients))
    with opened(folder) as store:
        began = time.perf_counter()
        with store.transaction():
            store.accept([new(1, to)])
        show(f"accept one message to {recipients:,}", time.perf_counter() - began, "s")
        began = time.perf_counter()
        finishes: list[Finish] = []
        while True:
            with store.transaction():
                store.settle([], finishes)
                groups = store.claim("remote", "sink.example", BIRTH * 2, 100, 100)
            if not groups:
                break
            finishes = [Finish(group.message, to.number) for group in groups for to in group.recipients]
        show("    claim and finish in groups of 100", recipients / (time.perf_counter() - began), "recipients/s")
        show("    process memory", memory_mb(), "MB")


BENCHES: dict[str, Callable[[Path], None]] = {"lives": bench_lives, "backlog": bench_backlog, "list": bench_list}


def main(arguments: list[str]) -> int:
    parent = arguments[0] if arguments else None
    for name in arguments[1:] or BENCHES:
        with tempfile.TemporaryDirectory(dir=parent, prefix="bench-store-") as folder:
            BENCHES[name](Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
