"""A private Dovecot that judges logins for Postfix, and does nothing else."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bench.programs import require, running, wait_for_text

# Everything of Dovecot's that is not needed is left out; the password lies there in clear, which no scheme beats.
_CONF: Final = """\
base_dir = {folder}/run
protocols =
log_path = /dev/stderr
ssl = no
auth_mechanisms = plain
passdb {{
  driver = passwd-file
  args = {folder}/passwords
}}
service auth {{
  unix_listener {socket} {{
    mode = 0660
    user = postfix
    group = postfix
  }}
}}
"""


@contextmanager
def judging_logins(folder: Path, socket: Path, user: str, password: str) -> Iterator[None]:
    """Run one that knows one user, at ``socket``."""
    folder.mkdir(mode=0o755)
    try:
        (folder / "conf").write_text(_CONF.format(folder=folder, socket=socket))
        (folder / "passwords").write_text(f"{user}:{{PLAIN}}{password}\n")
        (folder / "passwords").chmod(0o644)
        log = folder / "log"
        with running(
            [require("dovecot"), "-F", "-c", folder / "conf"], output=folder / "output", errors=log
        ) as process:
            wait_for_text(log, b"starting up", process, 30)
            yield
    finally:
        shutil.rmtree(folder)
