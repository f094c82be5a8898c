"""The inputs that are kept: one file a target, one input a line, bytes that do not print as escapes."""

from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent / "inputs"


def read(name: str) -> list[bytes]:
    """Return the inputs of a target."""
    file = FOLDER / f"{name}.txt"
    lines = file.read_text("ascii").splitlines() if file.exists() else []
    return [line.encode("ascii").decode("unicode_escape").encode("latin-1") for line in lines]


def write(name: str, inputs: Iterable[bytes]) -> None:
    """Keep these, the short ones first."""
    lines = [
        data.decode("latin-1").encode("unicode_escape") + b"\n" for data in sorted(inputs, key=lambda d: (len(d), d))
    ]
    (FOLDER / f"{name}.txt").write_bytes(b"".join(lines))
