"""A command run in this process, with a configuration of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from paperpath.cli.main import main

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs `paperpath` with these arguments and returns what came of it."""
    monkeypatch.delenv("PAPERPATH_CONFIG", raising=False)
    monkeypatch.delenv("SUDO_USER", raising=False)

    def invoke(*arguments: str, text: str | None = None) -> Result:
        return CliRunner().invoke(main, list(arguments), input=text)

    return invoke


@pytest.fixture
def trial(run: Run, tmp_path: Path) -> Path:
    """Return the folder of a fresh `paperpath init` with one account."""
    folder = tmp_path / "t"
    done = run(
        "init",
        str(folder),
        "--hostname",
        "mx.trial.test",
        "--account",
        "you@trial.test",
        "--listen",
        "smtp=127.0.0.1:0",
    )
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def configured(trial: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, named by the environment."""
    monkeypatch.setenv("PAPERPATH_CONFIG", str(trial / "paperpath.toml"))
    return trial
