"""How a client stands with this server: what it is counted by, how far it is preferred, and telling `guard` of it."""

from enum import IntEnum

from paperpath.process.guard import Guard
from paperpath.wire.guard import Offence


class Rank(IntEnum):
    """How far a client is to be preferred while sessions run short."""

    STRANGER = 0
    KNOWN = 1
    """It brought mail before, or proved who it is."""
    TRUSTED = 2
    """A relay network, or this host itself."""


class Standing:
    """One session's client.  Of those whom ``network`` does not name nothing is counted, and nothing held against."""

    __slots__ = ("_guard", "_has_proved", "_peer", "network", "rank", "wide")

    def __init__(self, guard: Guard | None, peer: str, network: str, wide: str, rank: Rank) -> None:
        self._guard = guard if network else None
        self._peer, self._has_proved = peer, False
        self.network, self.wide, self.rank = network, wide, rank

    @property
    def is_stranger(self) -> bool:
        """Whether nothing speaks for it."""
        return self.rank is Rank.STRANGER

    def proved(self) -> None:
        """It proved who it is: from now on the account's own rates hold, not those of its address."""
        self._has_proved = True
        self.rank = max(self.rank, Rank.KNOWN)

    def offended(self, offence: Offence, detail: str) -> None:
        """It did something that counts against its address."""
        if self._guard is not None:
            self._guard.report(self._peer, offence, detail)

    def is_slowed(self, what: str) -> bool:
        """Tell whether its address had too much of ``what`` lately, over all sessions of all processes."""
        return self._guard is not None and not self._has_proved and self._guard.is_slowed(self.network, what)

    def took(self, recipients: int) -> None:
        """A message with so many recipients was accepted from it."""
        if self._guard is not None:
            self._guard.took(self.network, recipients)

    def came(self) -> None:
        """Its session began."""
        if self._guard is not None:
            self._guard.opened(self.network)

    def left(self) -> None:
        """Its session ended."""
        if self._guard is not None:
            self._guard.closed(self.network)


THIS_HOST = Standing(None, "", "", "", Rank.TRUSTED)
"""Programs of this host at sockets of their own, and relay networks: nothing is counted, so one does for all."""
