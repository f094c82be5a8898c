"""What this process remembers about addresses: which do not answer (reference 12.6), which cannot do TLS.

In memory only: after a restart every address gets its chance again.
"""

from dataclasses import dataclass

from paperpath.base.bounded import make_room

TIMEOUTS_TO_SKIP = 2
COUNT_AGAIN_S = 120.0
"""Connections started together time out together; within this time they count as one timeout."""
SKIP_S = 64 * 60.0
"""qmail's hour and a bit."""
PLAIN_S = 600.0
"""How long a peer whose TLS failed is spoken to in clear without trying again."""
ADDRESSES_MOST = 4096


@dataclass(slots=True)
class _Timeouts:
    count: int
    last: float


class AddressMemory:
    """Times are seconds on one clock that never goes back, given by the caller."""

    def __init__(self) -> None:
        self._timeouts: dict[str, _Timeouts] = {}
        self._plain_until: dict[str, float] = {}

    def note_timeout(self, address: str, now: float) -> None:
        """A connection to the address timed out."""
        known = self._timeouts.get(address)
        if known is None:
            make_room(self._timeouts, ADDRESSES_MOST)
            self._timeouts[address] = _Timeouts(1, now)
        elif now - known.last >= COUNT_AGAIN_S:
            known.count += 1
            known.last = now

    def note_answer(self, address: str) -> None:
        """The address answered."""
        self._timeouts.pop(address, None)

    def skips(self, address: str, now: float) -> bool:
        """Tell whether the address is to be left alone for now."""
        known = self._timeouts.get(address)
        return known is not None and known.count >= TIMEOUTS_TO_SKIP and now - known.last < SKIP_S

    def note_bad_tls(self, address: str, now: float) -> None:
        """The TLS handshake with the address failed."""
        make_room(self._plain_until, ADDRESSES_MOST)
        self._plain_until[address] = now + PLAIN_S

    def wants_plain(self, address: str, now: float) -> bool:
        """Tell whether TLS failed there a short while ago."""
        return self._plain_until.get(address, 0.0) > now
