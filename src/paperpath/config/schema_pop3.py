"""The settings of `[pop3]`."""

from typing import Annotated

from msgspec import Meta

from paperpath.config.section import Duration, Section, about


class Pop3(Section, frozen=True, kw_only=True):
    """Sessions of POP3, where a listening socket has that service."""

    sessions: Annotated[
        int,
        Meta(ge=1, le=10_000),
        about("Sessions at once.", reason="each with a mailbox open; a client fetches in seconds, every few minutes"),
    ] = 1000
    sessions_per_address: Annotated[
        int,
        Meta(ge=1, le=10_000),
        about(
            "Sessions at once from one address (of IPv6, from one /64).",
            reason="an office behind one address, each person with a computer and a telephone",
        ),
    ] = 50
    timeout: Annotated[
        Duration,
        Meta(ge=600),
        about(
            "Time after which a session is closed that sent no command; nothing is removed then.",
            unit="seconds",
            reason="RFC 1939 3: at least 10 minutes",
        ),
    ] = 600
