"""The tutorial is carried out: its commands in their order, in a folder of its own, and what they print is compared.

A shown line may leave out what differs from run to run with `…`; a line that is only `…` stands for any number of
lines. What follows ``paperpath serve`` is its log.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from tests.docs.pages import blocks, read
from tests.service import PATIENCE_S, free_port

PAGE: Final = "docs/tutorial/first-message.md"


class Step(NamedTuple):
    """A command and what the page shows of its output."""

    command: str
    shown: str


def steps(text: str) -> Iterator[Step]:
    """Yield the page's commands in order."""
    for block in blocks(text, "console"):
        for piece in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, shown = piece.partition("\n")
            yield Step(command, shown)


def pattern(shown: str) -> re.Pattern[str]:
    """Return what output has to match to be the shown one."""
    lines = []
    for line in shown.splitlines():
        exact = re.escape(line).replace("…", "[^\n]*")
        lines.append("(?:[^\n]*\n)*?" if line == "…" else re.sub(r"(?:\\ )+", " +", exact) + " *\n")
    return re.compile("".join(lines))


def _may_change(command: str) -> bool:
    return command.split()[0] in {"ls", "cat"} or " serve " in command or " queue why " in command


class Trial:
    """A terminal in a folder of its own, and the server that was started in another."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "HOME": str(folder), "LANG": "C.UTF-8", "NO_COLOR": "1"}
        self.server: subprocess.Popen[bytes] | None = None
        self.log = folder / "log"

    def run(self, step: Step) -> None:
        """Carry out a step; a command that looks at what comes by itself is repeated until it is there."""
        wanted = pattern(step.shown)
        if step.command.startswith("paperpath serve"):
            self._serve(step.command)
        end = time.monotonic() + PATIENCE_S
        while not wanted.fullmatch(output := self._output(step.command)):
            complaint = f"$ {step.command}\n{output}\nis not as shown:\n{step.shown}"
            assert time.monotonic() < end and _may_change(step.command), complaint
            time.sleep(0.05)
        while "kill -HUP" in step.command and "service.reloaded" not in self.log.read_text():
            assert time.monotonic() < end, "the server did not read its file again"
            time.sleep(0.05)

    def _serve(self, command: str) -> None:
        with self.log.open("wb") as log:
            self.server = subprocess.Popen(
                self._real(command).split(), cwd=self.folder, env=self.environment, stderr=log, start_new_session=True
            )

    def _output(self, command: str) -> str:
        if command.startswith("paperpath serve"):
            return self._shown(self.log.read_text())
        command = re.sub(r"\$\(pgrep [^)]*\)", str(self.server.pid if self.server else 0), command)
        done = subprocess.run(
            ["bash", "-c", self._real(command)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
        )
        return self._shown(done.stdout)

    def _real(self, text: str) -> str:
        return text.replace("2525", str(self.port))

    def _shown(self, text: str) -> str:
        return text.replace(str(self.port), "2525")

    def close(self) -> int | None:
        """End the server where it still runs; return how it ended."""
        if self.server is None:
            return None
        try:
            return self.server.wait(PATIENCE_S)
        finally:
            if self.server.poll() is None:
                os.killpg(self.server.pid, signal.SIGKILL)
                self.server.wait()


@pytest.fixture
def trial() -> Iterator[Trial]:
    with tempfile.TemporaryDirectory(prefix="pp", dir="/tmp") as folder:
        trial = Trial(Path(folder))
        yield trial
        if trial.server is not None and trial.server.poll() is None:
            trial.server.terminate()
            trial.close()


def test_tutorial(trial: Trial) -> None:
    found = list(steps(read(PAGE)))
    assert len(found) > 12
    for step in found:
        trial.run(step)
    assert trial.close() == 0, "the last command of the page stops the server"


@pytest.mark.parametrize(("shown", "real", "fits"), [
    ("a … c\n", "a b c\n", True),
    ("a … c\n", "a b d\n", False),
    ("a\n…\nc\n", "a\nb\nb\nc\n", True),
    ("a\n…\nc\n", "a\nb\nb\n", False),
    ("", "a\n", False),
])  # fmt: skip
def test_the_comparison_can_fail(shown: str, real: str, fits: bool) -> None:
    assert bool(pattern(shown).fullmatch(real)) is fits
