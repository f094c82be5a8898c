"""Play every story in dotqmail/ twice: as a worker of the service would, and by the qmail-local program."""

import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from paperpath.delivery.carry_out import Tools
from paperpath.delivery.deliver import deliver_all
from paperpath.delivery.errand import Done, Errand, Message
from paperpath.delivery.forwarding import NOTHING_BESIDES
from paperpath.delivery.maildir import process_names
from paperpath.delivery.plan import plan_account
from paperpath.delivery.watched import Watched
from paperpath.wire.accounts import Account
from tests.transcripts.dotqmail_story import Story

FILES = sorted((Path(__file__).parent / "dotqmail").glob("*.txt"))
TRACE = b"Received: somehow\n"
CODES = {"delivered": 0, "failed": 100, "deferred": 111}

every_story = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def deliver(story: Story, home: Path, message: Message) -> Done:
    tools = Tools(process_names(), Watched(60.0, threading.Event()), lambda: 0, {b"PATH": os.environb[b"PATH"]})
    errand = Errand(Account(story.user, str(home), story.dash, story.extension), message)
    make_plan = partial(plan_account, default_delivery=story.default, besides=NOTHING_BESIDES)
    (result,) = deliver_all([errand], make_plan, tools)
    if not isinstance(result, Done | Exception):
        result = result()
    assert isinstance(result, Done), result
    return result


@every_story
def test_worker(file: Path, home: Path) -> None:
    story = Story().read(file)
    story.make_home(home)
    content = story.message.content
    message = Message(story.recipient, story.sender, b"", content, None, len(content))
    for _ in range(story.times):
        done = deliver(story, home, message)
    outcome = done.outcome
    kind, _, code = story.outcome.partition(" ")
    assert type(outcome).__name__.lower() == kind, outcome
    assert outcome.code == (code or "0.0")
    for said in story.says:
        assert said in outcome.text
    delivered_to = b"Delivered-To: " + story.recipient + b"\n"
    assert tuple((forward.sender, forward.recipients, forward.trace) for forward in done.forwards) == tuple(
        (sender, tuple(recipients), delivered_to) for sender, recipients in story.forwards
    )
    story.check_home(home)


@every_story
def test_qmail_local(file: Path, home: Path, tmp_path: Path) -> None:
    story = Story().read(file)
    if story.only == "worker":
        pytest.skip("whoever runs qmail-local bounds its output")
    story.make_home(home)
    (tmp_path / "message").write_bytes(story.message.content)
    queue = tmp_path / "queue"
    queue.write_text(f"#!/bin/sh\ncat > {tmp_path}/queued\ncat <&1 >> {tmp_path}/queued\n")
    queue.chmod(0o755)
    for _ in range(story.times):
        done = run(story, home, tmp_path, {"QMAILQUEUE": str(queue)})
    kind, _, code = story.outcome.partition(" ")
    assert done.returncode == CODES[kind], done.stdout
    text = done.stdout.decode("utf-8", "surrogateescape")
    for said in story.says:
        assert said in text
    if code not in {"", "0.0"}:
        assert f"(#{'5' if kind == 'failed' else '4'}.{code})" in text
    assert ("\nqp " in text) == bool(story.forwards)
    assert queued_in(tmp_path / "queued") == queued_as(story)
    story.check_home(home)


def run(story: Story, home: Path, folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[bytes]":
    arguments: list[str | bytes | Path] = [
        story.user, home, story.local, story.dash, story.extension, story.host, story.sender, story.default
    ]  # fmt: skip
    with (folder / "message").open("rb") as message:
        return subprocess.run(
            [sys.executable, "-m", "paperpath.inject.qmail_local", "--", *arguments],
            stdin=message,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={name: value for name, value in os.environ.items() if name != "DEFAULT"} | environment,
            check=False,
        )


def queued_in(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def queued_as(story: Story) -> bytes:
    """Return the message and the envelope that qmail-queue must have got."""
    whole = b""
    for sender, recipients in story.forwards:
        envelope = b"F" + sender + b"\0" + b"".join(b"T" + one + b"\0" for one in recipients) + b"\0"
        whole += b"Delivered-To: " + story.recipient + b"\n" + story.message.content + envelope
    return whole
