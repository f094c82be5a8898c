"""When each application password was used last, for `paperpath account app-password list`.

Kept in a file of this process's own: the file of accounts is not for it to write.  Uses are gathered and written once
in a while, without holding a login up; where that fails, logins go on, and the log says it.
"""

import asyncio

import apsw

from paperpath.base.text import describe
from paperpath.config.uses import SCHEMA, Use
from paperpath.system.clock import now
from paperpath.telemetry.events import ProcessBroken
from paperpath.telemetry.log import Log

_WRITE_EVERY_S = 10.0
_BUSY_MS = 500


class Uses:
    """Gathers uses, and writes them."""

    def __init__(self, path: str, log: Log) -> None:
        self._path, self._log = path, log
        self._gathered: dict[tuple[str, str], Use] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._failed = False

    def note(self, account: str, label: str, service: str, peer: str) -> None:
        """This password was used now."""
        self._gathered[account, label] = Use(account, label, int(now()), service, peer)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_WRITE_EVERY_S, self.write)

    def write(self) -> None:
        """Write what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        gathered, self._gathered = self._gathered, {}
        if not gathered:
            return
        try:
            _write(self._path, list(gathered.values()))
        except apsw.Error as error:
            if not self._failed:
                self._log.emit(ProcessBroken(where="noting uses of application passwords", error=describe(error)))
            self._failed = True
        else:
            self._failed = False


def _write(path: str, uses: list[Use]) -> None:
    with apsw.Connection(path) as db:
        db.set_busy_timeout(_BUSY_MS)
        db.execute(SCHEMA)
        db.executemany(
            "insert or replace into used values (?, ?, ?, ?, ?)",
            [(use.account, use.label, use.at, use.service, use.peer) for use in uses],
        )
    db.close()
