"""Start the process: ``python -I -m paperpath.local FD``."""

from paperpath.local.main import Local
from paperpath.process.child import run_role
from paperpath.process.settings import LocalSettings

if __name__ == "__main__":
    # Not confined: it becomes other users, whose homes are anywhere.  Its workers are, as far as they can be.
    run_role("local", LocalSettings, Local, confined=False)
