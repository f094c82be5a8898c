"""Start the process: ``python -I -m paperpath.local FD``."""

import sys

# It never speaks TLS, and asyncio does without: two megabytes less, and a library less that runs as root.
sys.modules["ssl"] = None  # type: ignore[assignment]

from paperpath.local.main import Local  # noqa: E402
from paperpath.process.child import run_role  # noqa: E402
from paperpath.process.settings import LocalSettings  # noqa: E402

if __name__ == "__main__":
    # Not confined: it becomes other users, whose homes are anywhere.  Its workers are, as far as they can be.
    run_role("local", LocalSettings, Local, confined=False, is_small=True)
