import os

import pytest

from paperpath.system.output import write_stderr


def test_what_a_write_left_is_written_too(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[bytes] = []

    def write(descriptor: int, data: bytes) -> int:
        assert descriptor == 2
        taken.append(bytes(data[:5]))
        return len(taken[-1])

    monkeypatch.setattr(os, "write", write)
    write_stderr(b"one line and\nanother\n")
    assert b"".join(taken) == b"one line and\nanother\n"


def test_nobody_reading_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    real = os.write
    monkeypatch.setattr(os, "write", lambda _, data: real(writing, data))
    write_stderr(b"a line\n")
    os.close(writing)
