"""`local` to its nursery: start a worker as this user; and back: it lives, and later, how it ended."""

import msgspec


class Rear(msgspec.Struct, frozen=True, array_like=True, tag="rear", gc=False):
    """Start a worker; the descriptor that comes with this frame is its conversation with `queue`."""

    ticket: int
    uid: int
    gid: int
    arguments: tuple[str, ...]
    """Of `local.worker_main`, without the first, which is the descriptor's number."""
    environment: dict[str, str]
    """Beside PATH and LANG."""
    attached: bool = True


class Reared(msgspec.Struct, frozen=True, array_like=True, tag="reared", gc=False):
    """It lives; the descriptor that comes with this frame is its pidfd."""

    ticket: int
    pid: int
    attached: bool = True


class NotReared(msgspec.Struct, frozen=True, array_like=True, tag="not-reared", gc=False):
    """It could not be started."""

    ticket: int
    reason: str


class Grown(msgspec.Struct, frozen=True, array_like=True, tag="grown", gc=False):
    """A worker has ended: with this exit status, or a signal's number below zero."""

    pid: int
    status: int


FromNursery = Reared | NotReared | Grown
