"""One thing that `paperpath doctor` looked at."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["good", "notice", "down", "bad"]
"""``notice``: works, but look at it.  ``down``: not now, perhaps later.  ``bad``: will not work until mended."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, and what was found."""

    what: str
    verdict: Verdict
    found: str
    advice: str = ""
