"""What `paperpath doctor` looks at where `[local] aliases` names a file."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from paperpath.cli.findings import Finding

if TYPE_CHECKING:
    from paperpath.config.schema import Config


def check_aliases(config: "Config") -> Iterator[Finding]:
    """Look whether the table is there and of today, and whether somebody can carry it out."""
    from paperpath.config.cdb_file import CdbFile
    from paperpath.config.users import ALIAS_USER
    from paperpath.system.users import find_user

    file = config.local.aliases
    if not file:
        return
    try:
        if CdbFile(f"{file}.cdb").load() is None:
            yield Finding("aliases", "bad", f"there is no {file}.cdb: mail for aliases waits", "run `newaliases`")
        elif _changed(file) > _changed(f"{file}.cdb"):
            yield Finding("aliases", "notice", f"{file} was changed after {file}.cdb", "run `newaliases`")
        else:
            yield Finding("aliases", "good", f"{file}.cdb")
    except (OSError, ValueError) as error:
        yield Finding("aliases", "bad", f"{file}.cdb: {error}", "run `newaliases`")
    if find_user(ALIAS_USER) is None:
        found = f"there is no system user {ALIAS_USER}: mail for aliases waits"
        yield Finding("aliases", "bad", found, f"make it, with a home of its own: useradd --system -m {ALIAS_USER}")


def _changed(file: str) -> float:
    """Return when a file was changed; one that is not there never was."""
    try:
        return os.stat(file).st_mtime
    except FileNotFoundError:
        return 0.0
