"""Paperpath under its own system users, as `paperpath init --system` has it, but in a folder of our choice."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paperpath
from bench.programs import require, run
from paperpath.config.identities import ALL_USERS
from paperpath.config.layout import layout
from paperpath.config.load import load
from paperpath.system.user_creation import ensure_user


def possible(folder: Path) -> bool:
    """Tell whether users of its own can run Paperpath here: it takes root to become them, and ways that are open."""
    ways = (Path(sys.base_prefix), Path(sys.prefix), Path(str(paperpath.__file__)).parent, folder)
    return os.geteuid() == 0 and all(is_open_to_all(way) for way in ways)


def is_open_to_all(way: Path) -> bool:
    """Tell whether any user may enter `way` and every folder above it."""
    target = way.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in (target, *target.parents))


@contextmanager
def separate(config: Path) -> Iterator[None]:
    """Hand what `config` names over to system users, which are made where they are missing and removed afterwards."""
    config.write_text(re.sub(r"(?m)^privileges\s*=.*\n", "", config.read_text()))
    made = [name for name in ALL_USERS if ensure_user(name)]
    try:
        for folder in layout(load(str(config)), system=True):
            run("chown", "--recursive", f"{folder.user}:{folder.group}", folder.path)
            Path(folder.path).chmod(folder.mode)
        yield
    finally:
        for name in made:
            run(require("userdel"), name)
