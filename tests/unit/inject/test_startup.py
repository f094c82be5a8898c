"""Injecting programs live for milliseconds: what they load is listed, and each further module is a decision."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from paperpath.cli.programs import PROGRAMS, script
from tests.transcripts.inject.story import Stage

SOURCE = Path(__file__).resolve().parents[3] / "src"
NEVER = {
    "argparse", "asyncio", "collections", "contextlib", "ctypes", "dataclasses", "enum", "functools", "msgspec", "re",
    "signal", "socket", "subprocess", "tomllib", "typing",
}  # fmt: skip
FAST = (
    "sendmail", "qmail-queue", "qmail-inject", "forward", "predate", "datemail", "mailsubj", "qmail-smtpd",
    "qmail-popup", "qmail-pop3d", "qmail-qmtpd", "qmail-qmqpd", "qmail-qmqpc",
    "bouncesaying", "condredirect", "except", "preline", "qreceipt", "qsmhook", "setlock",
)  # fmt: skip
"""Those that are called for every message."""


@pytest.mark.parametrize("name", FAST)
def test_a_program_loads_nothing_slow(name: str, tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    config = tmp_path / "paperpath.toml"
    config.write_text('hostname = "mx.here.test"\n')
    stamp = os.stat(config)
    values = f"stamp {stamp.st_dev}.{stamp.st_ino}.{stamp.st_size}.{stamp.st_mtime_ns}\nhostname mx.here.test\n"
    values += f"run {tmp_path}\nstate {tmp_path}\nqmail_home {tmp_path}\nmessage_size 1000\n"
    (tmp_path / "paperpath.programs").write_text(values)
    code = (
        f"import sys; sys.path.insert(0, {str(SOURCE)!r}); sys.argv[0] = {name!r}\n"
        f"from paperpath.inject.run import run; from paperpath.inject.{PROGRAMS[name].module} import main\n"
        "main(sys.argv); sys.stderr.write(' '.join(['LOADED', *sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, "true"],
        input=b"To: a@x.ex\n\nbody\n",
        env={"PAPERPATH_CONFIG": str(config), "QMAILQUEUE": str(stage.queue), "PATH": os.defpath},
        capture_output=True,
    )
    loaded = set(done.stderr.decode().partition("LOADED ")[2].split())
    assert "paperpath.inject.run" in loaded, done.stderr.decode()
    assert not loaded & NEVER


def test_scripts_name_an_interpreter_the_source_and_the_module() -> None:
    first, *lines = script(PROGRAMS["sendmail"]).splitlines()
    assert first == f"#!{os.path.realpath(sys.executable)} -IS"
    assert f"sys.path.insert(0, {str(SOURCE)!r})" in lines
    assert script(PROGRAMS["qmail-qread"]).startswith(f"#!{sys.executable} -I\n")


@pytest.mark.parametrize("given", [{}, {"LC_CTYPE": "C.UTF-8"}, {"LANG": "C", "HOME": "/"}])
def test_other_programs_inherit_the_environment_as_it_was_given(given: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "setlock"
    program.write_text(script(PROGRAMS["setlock"]))
    program.chmod(0o755)
    done = subprocess.run([program, tmp_path / "lock", "/usr/bin/env"], env=given, capture_output=True, check=True)
    assert dict(line.split("=", 1) for line in done.stdout.decode().splitlines()) == given
