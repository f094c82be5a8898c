"""How near this process is to its limits, measured: sessions, descriptors, and how long the queue takes to answer."""

from collections import deque

from paperpath.process.submitter import UNSENT_MOST_BYTES, Submitter
from paperpath.receive.sessions import Sessions
from paperpath.system.descriptors import descriptors_most, descriptors_used

LATENCY_MOST_S = 60.0
"""An answer of the queue that takes so long means that new mail only makes it longer: clients wait ten minutes."""
DESCRIPTORS_SPARE = 100
"""What the process needs beside its sessions."""
_SAMPLES = 120


class Load:
    """Judges now and then; between two looks the last one holds."""

    def __init__(self, sessions: Sessions, submitter: Submitter) -> None:
        self._sessions, self._submitter = sessions, submitter
        self._last_tickets: deque[tuple[float, int]] = deque(maxlen=_SAMPLES)
        """When it was looked, and the number of the last message that had been handed over by then."""

    def look(self, now: float) -> None:
        """Measure, and tell the sessions: 0 is at ease, 1 is at the end."""
        measures = {
            "descriptors": descriptors_used() / descriptors_most(),
            "the queue's answers": self._latency_s(now) / LATENCY_MOST_S,
            "messages that wait for the queue": self._submitter.unsent_bytes / UNSENT_MOST_BYTES,
        }
        what = max(measures, key=measures.__getitem__)
        self._sessions.strain, self._sessions.strained_by = measures[what], what

    def _latency_s(self, now: float) -> float:
        """Return how long the oldest message has waited for its answer, to the precision of the looks."""
        oldest = self._submitter.oldest_ticket
        self._last_tickets.append((now, self._submitter.last_ticket))
        if oldest is None:
            return 0.0
        handed_over = next((moment for moment, last in self._last_tickets if last >= oldest), now)
        return now - handed_over


def sessions_possible(wanted: int) -> int:
    """Return how many sessions this process can have with the descriptors it may open: ``wanted`` at the most.

    A quarter of them is left for large messages while they arrive (`Gatherer`), so `accept` never fails for want of it.
    """
    return max(1, min(wanted, (descriptors_most() - DESCRIPTORS_SPARE) * 3 // 4))
