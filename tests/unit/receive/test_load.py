"""How near a process is to its limits."""

import pytest

from paperpath.process.submitter import UNSENT_MOST_BYTES
from paperpath.receive import load as module
from paperpath.receive.load import LATENCY_MOST_S, Load, sessions_possible
from paperpath.receive.sessions import Sessions


class Submitter:
    """Says what a test sets."""

    last_ticket = 0
    oldest_ticket: int | None = None
    unsent_bytes = 0


@pytest.fixture
def submitter() -> Submitter:
    return Submitter()


@pytest.fixture
async def load(submitter: Submitter, monkeypatch: pytest.MonkeyPatch) -> Load:
    monkeypatch.setattr(module, "descriptors_most", lambda: 1000)
    monkeypatch.setattr(module, "descriptors_used", lambda: 100)
    return Load(Sessions(), submitter)  # type: ignore[arg-type]


async def test_at_ease(load: Load) -> None:
    load.look(0.0)
    assert load._sessions.strain == 0.1


async def test_descriptors_strain(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "descriptors_used", lambda: 900)
    load.look(0.0)
    assert (load._sessions.strain, load._sessions.strained_by) == (0.9, "descriptors")


async def test_what_waits_for_the_queue_strains(load: Load, submitter: Submitter) -> None:
    submitter.unsent_bytes = UNSENT_MOST_BYTES
    load.look(0.0)
    assert (load._sessions.strain, load._sessions.strained_by) == (1.0, "messages that wait for the queue")


async def test_answers_that_do_not_come_strain_more_and_more(load: Load, submitter: Submitter) -> None:
    """Message 5 is handed over between two looks, and not answered."""
    submitter.last_ticket = 4
    load.look(0.0)
    submitter.last_ticket = submitter.oldest_ticket = 5
    strains = []
    for second in range(1, 62):
        load.look(float(second))
        strains.append(load._sessions.strain)
        submitter.last_ticket += 1
    assert strains[:5] == [0.1] * 5
    assert strains[-1] == 60 / LATENCY_MOST_S
    assert load._sessions.strained_by == "the queue's answers"
    submitter.oldest_ticket = None
    load.look(62.0)
    assert load._sessions.strain == 0.1


@pytest.mark.parametrize(("files", "wanted", "possible"), [(65_536, 10_000, 10_000), (300, 10_000, 150), (50, 10, 1)])
def test_sessions_leave_a_quarter_of_the_descriptors(
    files: int, wanted: int, possible: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "descriptors_most", lambda: files)
    assert sessions_possible(wanted) == possible
