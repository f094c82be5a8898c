"""Feed every dialogue in pop3/ to the POP3 server machine, cut in different ways (see README.md)."""

import random
from pathlib import Path

import pytest

from tests.transcripts.pop3_story import Shell, Step, Story, read
from tests.transcripts.test_smtp_server import check_replies, pieces

FILES = sorted((Path(__file__).parent / "pop3").glob("*.txt"))


def play(story: Story, way: str, chance: random.Random) -> Shell:
    shell = story.shell()
    shell.feed(b"")
    steps = [step for step in story.steps if step.sent]
    if not story.steps[0].sent:
        check_replies(shell.output, story.steps[0].expected)
    if way == "once":
        expected = [line for step in steps for line in step.expected if line != b"(nothing)"]
        steps = [Step(b"".join(step.sent for step in steps), expected)]
    for step in steps:
        shell.output = b""
        for piece in pieces(step.sent, way, chance):
            shell.feed(piece)
        check_replies(shell.output, step.expected)
    return shell


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_dialogue(path: Path) -> None:
    story = read(path)
    for way in story.ways:
        for seed in range(10 if way == "random" else 1):
            shell = play(story, way, random.Random(f"{path.name} {seed}"))
            assert shell.closed == story.closed, way
            assert shell.marked == story.marked, way
            assert shell.abandoned == story.abandoned, way
            assert not shell.answers, "an answer that nobody asked for"
            if story.logins is not None:
                assert shell.logins == story.logins, way


def test_there_are_dialogues() -> None:
    assert len(FILES) >= 30
