"""Door passes: `auth` writes one for each login, `local` opens a mailbox for `pop3` only against one.

So a `pop3` process that was taken over opens no mailbox whose password did not come by while it was.  The key is
drawn by the supervisor when the service starts and given to these two processes only; it is on no disk.  A pass is its
expiry (8 bytes, seconds since the epoch), a nonce (16), and HMAC-SHA256 over both and the account (32).
"""

import hashlib
import hmac
from typing import Final

PASS_KEY_BYTES: Final = 32
PASS_NONCE_BYTES: Final = 16
PASS_GOOD_FOR_S: Final = 60
"""Long enough for a busy host to start a process, short enough to be of no use to anybody later."""

_EXPIRY_BYTES = 8
_MAC_BYTES = 32
PASS_BYTES: Final = _EXPIRY_BYTES + PASS_NONCE_BYTES + _MAC_BYTES
_PURPOSE = b"paperpath door pass\x00"


def make_pass(key: bytes, account: str, *, now: float, nonce: bytes) -> bytes:
    """Return a pass for ``account`` that is good for ``PASS_GOOD_FOR_S`` from ``now``.

    Raises ValueError where key or nonce have not their lengths.
    """
    if len(key) != PASS_KEY_BYTES or len(nonce) != PASS_NONCE_BYTES:
        raise ValueError("a door pass needs a key of 32 bytes and a nonce of 16")
    signed = (int(now) + PASS_GOOD_FOR_S).to_bytes(_EXPIRY_BYTES, "big") + nonce
    return signed + _mac(key, signed, account)


def is_good_pass(key: bytes, account: str, door_pass: bytes, *, now: float) -> bool:
    """Tell whether this pass was made with this key for this account and has not expired.  Without a key none is."""
    if len(key) != PASS_KEY_BYTES or len(door_pass) != PASS_BYTES:
        return False
    signed, mac = door_pass[:-_MAC_BYTES], door_pass[-_MAC_BYTES:]
    if not hmac.compare_digest(_mac(key, signed, account), mac):
        return False
    expiry = int.from_bytes(signed[:_EXPIRY_BYTES], "big")
    return now < expiry <= now + PASS_GOOD_FOR_S + 1


def _mac(key: bytes, signed: bytes, account: str) -> bytes:
    return hmac.digest(key, _PURPOSE + signed + account.encode("utf-8", "surrogatepass"), hashlib.sha256)
