"""A worker's programs: watched, with a time limit, their output kept for the report."""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from paperpath.delivery.errand import Message
from paperpath.delivery.output import OUTPUT_MOST_BYTES
from paperpath.system.programs import Ended, message_to_read, run_watched


@dataclass(frozen=True, slots=True)
class Watched:
    """Runs programs for a worker; see `carry_out.RunProgram`."""

    timeout_s: float
    stopped: threading.Event

    def __call__(self, command: bytes, folder: str, environment: Mapping[bytes, bytes], message: Message) -> Ended:
        """Run one program on the message and return how it ended.  Raises OSError."""
        reading = message_to_read((message.trace, message.content), message.source, message.size)
        try:
            return run_watched(
                command,
                folder=folder,
                environment=environment,
                message=reading,
                timeout_s=self.timeout_s,
                output_most_bytes=OUTPUT_MOST_BYTES + 1,
                stopped=self.stopped,
            )
        finally:
            os.close(reading)
