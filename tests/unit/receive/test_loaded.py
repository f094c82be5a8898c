"""What a process at the network loads: each of these would be some hundred kilobytes that it never uses."""

import subprocess
import sys

import pytest

UNUSED = {"paperpath.config.schema", "paperpath.protocol.sasl", "random", "stringprep", "unicodedata"}


@pytest.mark.parametrize("process", ["receive", "pop3"])
def test_it_loads_neither_the_file_of_settings_nor_mechanisms(process: str) -> None:
    program = f"import sys, paperpath.{process}.main; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-I", "-c", program], check=True, capture_output=True, text=True).stdout
    assert not UNUSED & set(loaded.split())
