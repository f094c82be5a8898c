"""What a Maildir delivery costs: files a second and CPU each, one by one and in batches.

    python -m bench.maildir FOLDER [--messages N]

FOLDER should be on a journaled file system of its own (`bench.volume` can make one).  Each line is one way to deliver
the same 4 KB messages through `delivery.deliver`, to mailboxes of ours or to system accounts without a dot-qmail
file; `link` is what file systems without an exclusive rename get.
"""

import argparse
import resource
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from paperpath.base.outcome import Delivered
from paperpath.delivery.carry_out import Tools
from paperpath.delivery.deliver import MakePlan, deliver_all
from paperpath.delivery.errand import Done, Errand, Message
from paperpath.delivery.forwarding import NOTHING_BESIDES
from paperpath.delivery.maildir import process_names
from paperpath.delivery.plan import plan_account, plan_mailbox
from paperpath.system import kernel
from paperpath.system.programs import Ended
from paperpath.wire.accounts import Account

_CONTENT = b"Subject: a message of 4 KB\nFrom: <a@bench.test>\n\n" + b"x" * 77 + b"\n" * 3
_SIZE = 4096
_PLANS: dict[str, MakePlan] = {
    "mailbox": plan_mailbox,
    "account": partial(plan_account, default_delivery=b"./Maildir/", besides=NOTHING_BESIDES),
}


def _no_program(*_: object) -> Ended:
    raise AssertionError("no dot-qmail file, no program")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--messages", type=int, default=2000)
    given = parser.parse_args()
    for batch, boxes, linking in ((1, 1, False), (20, 1, True), (20, 1, False), (20, 20, False), (64, 20, False)):
        _report(given.folder, given.messages, batch, boxes, "mailbox", linking=linking)
    _report(given.folder, given.messages, 20, 1, "account")


def _report(folder: Path, messages: int, batch: int, boxes: int, plan: str, *, linking: bool = False) -> None:
    homes = [str(_make_home(folder, number)) for number in range(boxes)]
    name = "link+unlink" if linking else "renameat2"
    kernel_has = kernel.HAS_RENAMEAT2
    kernel.HAS_RENAMEAT2 = kernel_has and not linking
    try:
        wall, cpu = _timed(lambda: _deliver_all(homes, messages, batch, plan))
    finally:
        kernel.HAS_RENAMEAT2 = kernel_has
        for home in homes:
            shutil.rmtree(home)
    print(
        f"batch {batch:3}, {boxes:3} {plan:7}, {name:11}: {messages / wall:7.0f} files/s, "
        f"{cpu / messages * 1e6:6.1f} us CPU each"
    )


def _make_home(folder: Path, number: int) -> Path:
    home = folder / f"box{number}"
    for name in ("tmp", "new", "cur"):
        (home / "Maildir" / name).mkdir(parents=True)
    return home


def _deliver_all(homes: list[str], messages: int, batch: int, plan: str) -> None:
    tools = Tools(process_names(), _no_program, lambda: 0, {})
    content = (_CONTENT * (_SIZE // len(_CONTENT) + 1))[:_SIZE]
    for start in range(0, messages, batch):
        one = [
            Errand(
                Account("joe", homes[at % len(homes)], b"", b""),
                Message(b"joe@bench.test", b"from@bench.test", b"Received: x\n", content, None, _SIZE),
            )
            for at in range(start, min(start + batch, messages))
        ]
        results = deliver_all(one, _PLANS[plan], tools)
        assert all(isinstance(result, Done) and isinstance(result.outcome, Delivered) for result in results), results


def _timed(work: Callable[[], None]) -> tuple[float, float]:
    """Return the wall and the CPU seconds, user and system, that the work took."""
    used, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    work()
    now = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter() - began, now.ru_utime - used.ru_utime + now.ru_stime - used.ru_stime


if __name__ == "__main__":
    main()
