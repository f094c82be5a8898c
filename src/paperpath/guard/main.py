"""`guard` as a process: the book of bans, the rates, and the sockets put together."""

import asyncio
import ipaddress
import os
from collections.abc import Iterable

from paperpath.guard.book import Book, Rules
from paperpath.guard.clients import Clients
from paperpath.guard.keeping import Keeping
from paperpath.guard.operator import Operators
from paperpath.guard.rates import Counter
from paperpath.process.child import Listeners
from paperpath.process.doors import Doors
from paperpath.process.settings import GuardSettings
from paperpath.system.clock import now
from paperpath.telemetry.events import BanBegan, BanEnded, BansNotKept
from paperpath.telemetry.log import Log
from paperpath.wire.guard import Ban, Bans, BanView, Lifted

_EXPIRE_EVERY_S = 5.0
"""Those who were told of a ban know themselves when it ends; this is for the log and the file."""
_EVIDENCE_SHOWN = 3
_BANS_FILE, _RATES_FILE = "bans.kept", "rates.kept"
_BANS_PAUSE_S = 0.5
_RATES_PAUSE_S = 60.0
"""What accounts sent in a minute is forgotten where this process is killed; each message is not worth a sync."""


class GuardRole:
    """The process between its first settings and its end."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._book: Book | None = None
        self._keeping: Keeping[tuple[BanView, ...]] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._doors = Doors()

    async def configure(self, settings: GuardSettings, listeners: Listeners) -> None:
        """Read the bans and listen; or take over new settings."""
        rules = _rules(settings)
        if self._book is None:
            self._open(settings, rules)
        assert self._book is not None
        self._book.rules = rules
        self._clients.configure(settings)
        self._expire()
        self._listen(settings, listeners)

    async def drain(self, grace_s: float) -> None:
        """Talk to nobody more, and write what there is."""
        self._doors.close()
        if self._keeping is None or self._timer is None:
            return
        self._timer.cancel()
        self._clients.close()
        self._operators.close()
        self._keeping.save()
        self._rates.save()

    def _open(self, settings: GuardSettings, rules: Rules) -> None:
        book = self._book = Book(rules)
        keeping = self._keeping = Keeping(
            os.path.join(settings.folder, _BANS_FILE),
            tuple[BanView, ...],
            book.kept,
            self._not_kept,
            pause_least_s=_BANS_PAUSE_S,
        )
        try:
            book.restore(keeping.read() or ())
        except ValueError as error:
            self._not_kept(str(error))
        self._clients = Clients(book, self._log, self._began, lambda: self._rates.save_soon())
        self._rates = Keeping(
            os.path.join(settings.folder, _RATES_FILE),
            tuple[Counter, ...],
            self._clients.asked.kept,
            self._not_kept,
            pause_least_s=_RATES_PAUSE_S,
        )
        self._clients.asked.restore(self._rates.read() or ())
        self._operators = Operators(book, self._began_by_hand, self._lifted)

    def _not_kept(self, error: str) -> None:
        self._log.emit(BansNotKept(error=error))

    def _began(self, bans: Iterable[BanView]) -> None:
        """Write, tell and log bans that offences brought on."""
        assert self._keeping is not None
        begun = tuple(bans)
        if begun:
            self._keeping.save_soon()
            self._tell(begun)

    def _began_by_hand(self, ban: BanView) -> None:
        """An operator is answered when it is written."""
        assert self._keeping is not None
        self._keeping.save()
        self._tell((ban,))

    def _tell(self, bans: tuple[BanView, ...]) -> None:
        self._clients.tell(Bans(tuple(Ban(one.network, one.until, one.reason) for one in bans), first=False))
        for ban in bans:
            self._log.emit(
                BanBegan(
                    network=ban.network,
                    reason=ban.reason,
                    by=ban.by,
                    for_s=ban.until - ban.since if ban.until else 0,
                    times=ban.times,
                    evidence="; ".join(
                        f"{one.offence} {one.detail}" for one in ban.evidence[: -1 - _EVIDENCE_SHOWN : -1]
                    ),
                )
            )

    def _lifted(self, view: BanView, how: str) -> None:
        assert self._keeping is not None
        self._keeping.save()
        self._ended((view,), how)

    def _ended(self, views: Iterable[BanView], how: str) -> None:
        over = [view for view in views if view.since]
        if over:
            self._clients.tell(Lifted(tuple(view.network for view in over)))
        for view in over:
            self._log.emit(BanEnded(network=view.network, how=how, turned_away=view.turned_away))

    def _expire(self) -> None:
        assert self._book is not None and self._keeping is not None
        if self._timer is not None:
            self._timer.cancel()
        moment = int(now())
        over = self._book.expire(moment)
        if over:
            self._keeping.save_soon()
            self._ended([view for view in over if view.until and view.until <= moment], "expired")
            self._ended([view for view in over if not view.until or view.until > moment], "trusted now")
        self._timer = asyncio.get_running_loop().call_later(_EXPIRE_EVERY_S, self._expire)

    def _listen(self, settings: GuardSettings, listeners: Listeners) -> None:
        doors = {
            "guard": (settings.client_users, self._clients.connected),
            "bans": (settings.operator_users, self._operators.connected),
        }
        self._doors.serve(listeners, doors)


def _rules(settings: GuardSettings) -> Rules:
    return Rules(
        points=settings.points,
        window_s=settings.window_s,
        first_s=settings.first_s,
        most_s=settings.most_s,
        trusted=tuple(ipaddress.ip_network(network) for network in settings.trusted),
    )
