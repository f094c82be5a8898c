"""Start the process: ``python -I -m paperpath.guard FD``."""

import sys

# It never speaks TLS, and asyncio does without: two megabytes less, and a library less to have defects.
sys.modules["ssl"] = None  # type: ignore[assignment]

from paperpath.guard.main import GuardRole  # noqa: E402
from paperpath.process.child import run_role  # noqa: E402
from paperpath.process.settings import GuardSettings  # noqa: E402

if __name__ == "__main__":
    run_role("guard", GuardSettings, GuardRole, is_small=True)
