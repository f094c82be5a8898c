"""How bans look: to people in aligned lines, to programs as JSON.  Evidence comes from strangers."""

import math
from collections.abc import Sequence
from typing import Any

from paperpath.base.dates import iso8601
from paperpath.base.text import one_line
from paperpath.cli.show import age, say, strong, table
from paperpath.wire.guard import BanView


def until(view: BanView, now: float) -> str:
    """Return how long a ban lasts from now."""
    return f"until {iso8601(view.until)}, in {_left(view, now)}" if view.until else "until it is removed"


def _left(view: BanView, now: float) -> str:
    """Return the time that is left, begun seconds whole: a ban of 12h has 12h left when it begins."""
    return age(math.ceil(view.until - now))


def print_bans(bans: Sequence[BanView], now: float) -> None:
    """Print bans as a table."""
    table(
        ("NETWORK", "SINCE", "ENDS IN", "TIMES", "REFUSED", "BY", "REASON"),
        [
            (
                one.network,
                age(now - one.since),
                _left(one, now) if one.until else "never",
                f"{one.times:,}",
                f"{one.turned_away:,}",
                one_line(one.by, 40),
                one_line(one.reason, 200),
            )
            for one in bans
        ],
        right=(1, 2, 3, 4),
    )


def print_ban(view: BanView, now: float) -> None:
    """Print everything about a ban, or what counts against an address."""
    if view.since:
        say(f"{strong(view.network)} is banned {until(view, now)}: {one_line(view.reason, 200)}")
        say(f"  since {iso8601(view.since)}, by {one_line(view.by, 80)}; ban number {view.times}")
        say(f"  connections refused: {view.turned_away:,}")
    else:
        former = f"; it was banned {view.times} times before" if view.times else ""
        say(f"{strong(view.network)} is not banned{former}")
    for one in view.evidence:
        say(f"  {iso8601(one.at)}  {one_line(one.offence, 40)}  {one_line(one.detail, 200)}")


def ban_json(view: BanView) -> dict[str, Any]:
    """Return it for programs."""
    return {
        "network": view.network,
        "banned": bool(view.since),
        "since": view.since,
        "until": view.until or None,
        "reason": view.reason,
        "by": view.by,
        "times": view.times,
        "refused": view.turned_away,
        "evidence": [{"at": one.at, "offence": one.offence, "detail": one.detail} for one in view.evidence],
    }
