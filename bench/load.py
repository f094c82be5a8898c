"""The load: Postfix's own smtp-source, the same for everybody."""

import time
from typing import Final

from bench.programs import require, run

SESSIONS: Final = 20
PAYLOAD_BYTES: Final = 4096


def send(port: int, recipient: str, messages: int) -> float:
    """Send `messages` of 4 KB over 20 parallel sessions, a new connection each; return when the last was accepted.

    The moment is monotonic.  smtp-source gives up at the first refusal, and then this raises BenchError.
    """
    run(
        *(require("smtp-source"), "-4", "-M", "load.test", "-f", "sender@load.test", "-t", recipient),
        *("-s", str(SESSIONS), "-l", str(PAYLOAD_BYTES), "-m", str(messages), f"127.0.0.1:{port}"),
        within_s=limit_s(messages),
    )
    return time.monotonic()


def limit_s(messages: int) -> float:
    """Return how long `messages` may take before something must be wrong: 20 a second is slower than any server."""
    return 60 + messages / 20
