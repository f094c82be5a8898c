"""`auth` to its helpers, which reach what it must not: PAM and programs (`auth.outside`), issuers of tokens
(`auth.tokens`)."""

from typing import Final

import msgspec

from paperpath.wire.frame import Hello

OUTSIDE_FRAME_MOST_BYTES: Final = 16 * 1024


class CheckOutside(msgspec.Struct, frozen=True, array_like=True, tag="check-outside", gc=False):
    """Is this the password?  ``how`` is ``pam`` or ``checkpassword``."""

    ticket: int
    how: str
    name: str
    password: bytes
    peer: str


class CheckBearer(msgspec.Struct, frozen=True, array_like=True, tag="check-bearer", gc=False):
    """Whose token is this?"""

    ticket: int
    token: str


class Checked(msgspec.Struct, frozen=True, array_like=True, tag="checked", gc=False):
    """The answer to either."""

    ticket: int
    verdict: str
    """``yes``, ``no``, or ``unknown``: could not be told now."""
    account: str = ""
    """Whom it means, with ``yes``."""
    reason: str = ""
    """For the log."""


class JudgePam(msgspec.Struct, frozen=True, array_like=True, tag="judge-pam", gc=False):
    """`auth.outside` to a process of its own that PAM may block or break: judge this, answer with `Checked`."""

    service: str
    name: str
    password: bytes
    peer: str


ToOutside = Hello | CheckOutside
ToTokens = Hello | CheckBearer
FromHelper = Checked
