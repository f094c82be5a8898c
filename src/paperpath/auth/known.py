"""Passwords that were right a short while ago, so that a client that logs in for each message costs one Argon2 hash
and not one a message.

Only successes are kept, each as an HMAC under a key that this process draws and never shows, over the backend's name,
the user's and the password; so a dump of the table alone tells nothing.  For accounts the stored hash is part of it:
after a change of password nothing that was remembered fits.  What a wrong password costs is not changed by any of this.
"""

import hmac
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from paperpath.auth.verdict import Identity

_KNOWN_MOST = 10_000


class Known:
    """A bounded memory; each entry is good for ``good_for_s`` from when the password was judged."""

    def __init__(self, key: bytes, good_for_s: float, now: Callable[[], float]) -> None:
        self._key, self._good_for_s, self._now = key, good_for_s, now
        self._entries: OrderedDict[bytes, tuple[float, Identity]] = OrderedDict()

    def find(self, *parts: bytes) -> Identity | None:
        """Return what was found out about these, while it is good."""
        entry = self._entries.get(self.mac(*parts))
        return entry[1] if entry is not None and entry[0] > self._now() else None

    def add(self, identity: Identity, *parts: bytes) -> None:
        """Remember it; the oldest makes room."""
        if self._good_for_s <= 0:
            return
        mac = self.mac(*parts)
        self._entries.pop(mac, None)
        if len(self._entries) >= _KNOWN_MOST:
            self._entries.popitem(last=False)
        self._entries[mac] = self._now() + self._good_for_s, identity

    def mac(self, *parts: bytes) -> bytes:
        """Return what stands for these in a table."""
        # Each part goes with its length, so that no others come to the same.
        return hmac.digest(self._key, msgspec.msgpack.encode(parts), "sha256")
