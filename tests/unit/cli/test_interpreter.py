"""A Python that only root may run starts no process with a user of its own: `doctor` and `init` say so beforehand."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from paperpath.cli import init, interpreter
from paperpath.config.load import load
from tests.unit.cli.conftest import Run


@pytest.fixture
def python() -> Iterator[Path]:
    """Yield a link to an interpreter, as a virtual environment has one; all folders are open, as pytest's are not."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        top = Path(name)
        top.chmod(0o755)
        for folder in ("home/bin", "venv"):
            (top / folder).mkdir(parents=True)
        real, link = top / "home" / "bin" / "python3", top / "venv" / "python3"
        real.touch(mode=0o755)
        link.symlink_to(real)
        yield link


def test_what_is_open_is_fine(python: Path) -> None:
    assert interpreter.obstacle_to(str(python)) == ""


@pytest.mark.parametrize("closed", ["venv", "home", "home/bin/python3"])
def test_what_is_closed_is_named(python: Path, closed: str) -> None:
    shut = python.parent.parent / closed
    shut.chmod(0o750)
    assert f": {shut} is closed to them" in interpreter.obstacle_to(str(python))


def test_doctor_and_init_tell(
    run: Run, configured: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("paperpath.cli.checks.closed_to_others", lambda: "closed")
    monkeypatch.setattr(interpreter, "closed_to_others", lambda: "closed")
    file = configured / "paperpath.toml"
    assert "program" not in run("doctor", "--no-dns").output
    config = load(str(file))
    for system, told in ((False, ""), (True, f"closed; {interpreter.ADVICE}\n")):
        init._say_what_next(init.Plan(str(file), "", (), system=system), config)
        assert capsys.readouterr().err == told
    file.write_text(file.read_text().replace('"caller"', '"separate"'))
    found = json.loads(run("doctor", "--no-dns", "--json").stdout)
    assert [one["verdict"] for one in found if one["what"] == "program"] == ["bad"]
