"""Those who are not let in, as the log has them: counted, and told together."""

from collections.abc import Iterator
from typing import NamedTuple

from paperpath.base.reply import Reply
from paperpath.telemetry.events import TurnedAway
from paperpath.telemetry.log import Log

_KINDS_MOST = 200
"""Reasons and networks that are told apart in one stretch of the log; a flood from more is one line."""


class Refused(NamedTuple):
    """What is said to a client that is not let in, and why, for the log."""

    reply: Reply
    reason: str


class TurnedAwayLately:
    """Those who were not let in since the log told of it: a flood must not become a flood of lines."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], tuple[int, str, Refused]] = {}

    def count(self, network: str, peer: str, refused: Refused) -> None:
        """Note one."""
        key = refused.reason, network
        if key not in self._counts and len(self._counts) >= _KINDS_MOST:
            key = refused.reason, "many"
        so_far = self._counts[key][0] if key in self._counts else 0
        self._counts[key] = so_far + 1, peer, refused

    def log(self, log: Log) -> None:
        """Write a line for each reason and network, and begin anew."""
        for event in self._events():
            log.emit(event)
        self._counts.clear()

    def _events(self) -> Iterator[TurnedAway]:
        for (reason, network), (connections, peer, refused) in self._counts.items():
            yield TurnedAway(
                network=network,
                peer=peer,
                connections=connections,
                code=refused.reply.code,
                status=refused.reply.status,
                reason=reason,
            )
