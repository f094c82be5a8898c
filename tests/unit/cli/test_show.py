"""Ages, sizes, tables and colour."""

import os
import pty
import sys

import pytest

from paperpath.cli.show import age, count, size, table


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (3599, "59m"),
        (3600, "1h"),
        (86399, "23h"),
        (12 * 86400, "12d"),
    ],
)
def test_age(seconds: float, text: str) -> None:
    assert age(seconds) == text


@pytest.mark.parametrize(
    ("count_bytes", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KiB"), (1023, "1.0 KiB"), (4200, "4.1 KiB"), (10_240, "10 KiB"),
     (1 << 20, "1.0 MiB"), (5 << 30, "5.0 GiB"), (1 << 50, "1024 TiB")],
)  # fmt: skip
def test_size(count_bytes: int, text: str) -> None:
    assert size(count_bytes) == text


def test_count() -> None:
    assert [count(0, "byte"), count(1, "byte"), count(1204, "byte")] == ["0 bytes", "1 byte", "1,204 bytes"]


def test_a_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    table(("NAME", "N"), [("a", "5"), ("longer", "1234")], right=(1,))
    assert capsys.readouterr().out == "NAME       N\na          5\nlonger  1234\n"


def on_terminal(code: str, **environment: str) -> str:
    """Return what a program prints where its standard output is a terminal."""
    output = bytearray()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 4096)
        output.extend(data)
        return data

    call = ["/usr/bin/env", "TERM=xterm", *(f"{name}={value}" for name, value in environment.items())]
    saved = os.dup(1)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    try:
        pty.spawn([*call, sys.executable, "-c", code], read)
    finally:
        os.dup2(saved, 1)
        os.close(saved)
        os.close(null)
    return output.decode()


CODE = "from paperpath.cli.show import table; table(('A', 'B'), [('[bold]x', 'y')])"


def test_a_table_on_a_terminal_takes_brackets_as_they_are() -> None:
    shown = on_terminal(CODE)
    assert "[bold]x" in shown
    assert "\x1b[1m" in shown


def test_no_color_is_honoured() -> None:
    program = "from paperpath.cli.main import main; main(['check-config', '--config', '/nowhere', '--help'])"
    assert "\x1b[3" not in on_terminal(program, NO_COLOR="1")
    doctor = "from paperpath.cli.main import main; main(['doctor', '--config', '/nowhere'])"
    assert "\x1b[31m" in on_terminal(doctor, NO_COLOR="")
    assert "\x1b" not in on_terminal(doctor, NO_COLOR="1")
