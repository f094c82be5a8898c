"""Start the process: ``python -I -m paperpath.queue FD``."""

from paperpath.process.child import run_role
from paperpath.process.settings import QueueSettings
from paperpath.queue.main import QueueRole

if __name__ == "__main__":
    run_role("queue", QueueSettings, QueueRole)
