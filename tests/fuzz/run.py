"""Fuzz one target with atheris, guided by the branches that inputs take: `make fuzz ARGS="smtp -max_total_time=600"`.

What it finds that takes a new way goes to ``.fuzz/TARGET``, and, if it is among the fewest that show all ways, is kept
in ``tests/fuzz/inputs/TARGET.txt`` by `make fuzz ARGS="smtp --keep"`.  What fails is written to ``.fuzz/crash-...``.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore]  # `make fuzz` brings it; nothing else needs it

with atheris.instrument_imports(include=["paperpath"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz import kept

_FOUND = Path(".fuzz")
_OPTIONS = ("-max_len=400", f"-artifact_prefix={_FOUND}/", "-print_final_stats=1")
_AGAIN = "--again"
"""How libFuzzer calls this program while it merges: everything behind the target is its own."""


def main(words: list[str]) -> None:
    """Run the target that the first word names; further words are libFuzzer's."""
    if words[0] == _AGAIN:
        run(words[1], words[2:])
        return
    name, options = words[0], words[1:]
    found = _FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(kept.read(name)):
        (found / f"kept-{number}").write_bytes(data)
    if options == ["--keep"]:
        keep(name, found)
    else:
        run(name, [*_OPTIONS, *options, str(found)])


def keep(name: str, found: Path) -> None:
    """Keep the fewest inputs that show all ways."""
    fewest = _FOUND / f"{name}.kept"
    shutil.rmtree(fewest, ignore_errors=True)
    fewest.mkdir()
    subprocess.run([_again(name), "-merge=1", *_OPTIONS, str(fewest), str(found)], check=True)
    kept.write(name, [path.read_bytes() for path in fewest.iterdir()])


def run(name: str, options: list[str]) -> None:
    """Hand over to libFuzzer, which may start this program again."""
    atheris.Setup([_again(name), *options], TARGETS[name])
    atheris.Fuzz()


def _again(name: str) -> str:
    """Return a program that goes on with a target."""
    program = _FOUND / f"{name}.sh"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.fuzz.run {_AGAIN} {name} "$@"\n')
    program.chmod(0o755)
    return str(program)


main(sys.argv[1:])
