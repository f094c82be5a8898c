"""The settings of `[fronts]`: who may say for whom it speaks."""

from typing import Annotated

from paperpath.config.section import Section, about


class Fronts(Section, frozen=True, kw_only=True):
    """Load balancers and proxies in front of this host: those listed here are believed about who is behind them, and
    that client's address then counts for relaying, limits, trace lines and the log."""

    proxy: Annotated[
        tuple[str, ...],
        about(
            "Networks of load balancers that begin each connection with a PROXY header (version 1 or 2), on every "
            '``[[listen]]`` with ``proxy = "always"``. Connections from elsewhere are refused there.'
        ),
    ] = ()
    xclient: Annotated[
        tuple[str, ...],
        about(
            "Networks of SMTP proxies that may use Postfix's XCLIENT with NAME, ADDR, PORT, PROTO and HELO, and at "
            "listeners for submission with LOGIN, which they have judged themselves; to others it is not offered."
        ),
    ] = ()
