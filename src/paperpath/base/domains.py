"""Domain names as tables are searched for them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:  # programs that live for a millisecond import this
    from collections.abc import Iterator


def suffixes(domain: bytes) -> Iterator[bytes]:
    """Yield the domain, then each of its suffixes that begins with a dot, longest first."""
    yield domain
    at = domain.find(b".")
    while at >= 0:
        yield domain[at:]
        at = domain.find(b".", at + 1)
