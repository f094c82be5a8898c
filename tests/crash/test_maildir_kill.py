"""A real worker killed in the middle of its work."""

import os
import pwd
import signal
from pathlib import Path

import pytest

from paperpath.base.outcome import Delivered
from paperpath.wire.accounts import Account, StartWorker
from tests.unit.delivery.test_maildir import make_home
from tests.unit.local.service import Talk, job, running, settings, worker_talk

pytestmark = pytest.mark.crash

ME = pwd.getpwuid(os.geteuid()).pw_name
JOBS = 150
BODY = b"x" * 3000 + b"\nthe end\n"


def numbers(home: Path) -> list[int]:
    """Return the numbers of the messages in ``new``, after checking that each is complete."""
    found = []
    for file in (home / "Maildir/new").iterdir():
        content = file.read_bytes()
        assert content.endswith(BODY)
        found.append(int(content.partition(b"Subject: ")[2].partition(b"\n")[0]))
    return sorted(found)


def hand_over(worker: Talk, account: Account, wanted: list[int]) -> None:
    for number in wanted:
        worker.send(job(number, account, b"Subject: %d\n\n" % number + BODY))


@pytest.mark.parametrize("reports", [0, 1, 30])
def test_killed_worker_loses_nothing_it_reported(tmp_path: Path, reports: int) -> None:
    home = make_home(tmp_path / "mail/box.test/joe")
    account = Account(ME, str(home), b"", b"")
    with running(tmp_path, settings(tmp_path / "mail", ME)) as service:
        queue = service.connect("workers")
        queue.ask(StartWorker(1, "mailboxes"))
        worker = worker_talk(queue)
        worker.ask(job(JOBS, account, b"Subject: %d\n\n" % JOBS + BODY))
        pid = int(next((home / "Maildir/new").iterdir()).name.partition("P")[2].partition("Q")[0])
        hand_over(worker, account, list(range(JOBS)))
        done = {worker.receive().job for _ in range(reports)}
        os.kill(pid, signal.SIGKILL)
        done |= _rest(worker)
        assert done <= set(numbers(home))

        queue.ask(StartWorker(2, "mailboxes"))
        again = worker_talk(queue)
        undone = sorted(set(range(JOBS)) - done)
        hand_over(again, account, undone)
        for _ in undone:
            assert isinstance(again.receive().results[0].outcome, Delivered)
    assert set(numbers(home)) == set(range(JOBS + 1))
    assert len(numbers(home)) <= JOBS + 1 + len(undone)


def _rest(worker: Talk) -> set[int]:
    """Return the jobs whose reports were under way when the worker ended; the end itself must be seen."""
    done = set()
    try:
        while True:
            done.add(worker.receive().job)
    except (EOFError, ConnectionResetError):
        return done
