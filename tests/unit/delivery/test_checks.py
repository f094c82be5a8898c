"""What keeps a message from being delivered at all: loops, and homes that are not to be trusted now."""

import os
from pathlib import Path

import pytest

from paperpath.base.outcome import Deferred, Failed
from paperpath.delivery.checks import check_home, check_loop
from paperpath.delivery.errand import HEADER_MOST_BYTES, Refused
from paperpath.system import files
from tests.unit.delivery.test_maildir import message

LINE = b"Delivered-To: joe@box.test\n"


@pytest.mark.parametrize(
    ("trace", "content", "loops"),
    [
        (b"", LINE + b"\nbody", True),
        (b"", b"A: b\n" + LINE, True),
        (b"", b"A: b\n" + LINE + b"\n", True),
        (LINE, b"A: b\n\n", True),
        (b"", b"A: b\n\n" + LINE, False),
        (b"", b"\n" + LINE, False),
        (b"", b"X-" + LINE, False),
        (b"", LINE.lower(), False),
        (b"", b"Delivered-To: joe@box.test", False),
        (b"", b"Delivered-To:  joe@box.test\n\n", False),
        (b"", b"Delivered-To: joe@box.tester\n\n", False),
        (b"", b"X-" + LINE + LINE + b"\n", True),
    ],
)
@pytest.mark.parametrize("spooled", [False, True])
def test_loop(tmp_path: Path, trace: bytes, content: bytes, loops: bool, spooled: bool) -> None:
    source = files.create_spool_file(str(tmp_path))
    os.write(source, content)
    more = {"content": b"", "source": source} if spooled else {"content": content}
    seen = None
    try:
        check_loop(message(trace=trace, size=len(content), **more))
    except Refused as refused:
        seen = refused.outcome
    os.close(source)
    assert (isinstance(seen, Failed) and seen.code == "4.6") if loops else seen is None


def test_header_of_a_large_message_is_read_as_far_as_it_may_reach(tmp_path: Path) -> None:
    source = files.create_spool_file(str(tmp_path))
    content = b"X: y\n" * ((HEADER_MOST_BYTES - len(LINE)) // 5) + LINE + b"\n" + b"body\n" * 100_000
    os.write(source, content)
    with pytest.raises(Refused):
        check_loop(message(b"", trace=b"", source=source, size=len(content)))
    os.close(source)


@pytest.mark.parametrize(("mode", "code"), [(0o1700, "2.1"), (0o702, "7.0"), (0o1702, "7.0")])
def test_home_that_must_wait(tmp_path: Path, mode: int, code: str) -> None:
    tmp_path.chmod(mode)
    with pytest.raises(Refused) as refused:
        check_home(str(tmp_path))
    outcome = refused.value.outcome
    assert isinstance(outcome, Deferred) and outcome.code == code


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o770, 0o2775])
def test_home_that_only_a_group_may_write_to_is_fine(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    check_home(str(tmp_path))


def test_looking_does_not_mind_that_the_owner_edits(tmp_path: Path) -> None:
    tmp_path.chmod(0o1700)
    check_home(str(tmp_path), may_be_edited=True)
    tmp_path.chmod(0o1702)
    with pytest.raises(Refused):
        check_home(str(tmp_path), may_be_edited=True)
