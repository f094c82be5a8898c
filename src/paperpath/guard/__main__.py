"""Start the process: ``python -I -m paperpath.guard FD``."""

from paperpath.guard.main import GuardRole
from paperpath.process.child import run_role
from paperpath.process.settings import GuardSettings

if __name__ == "__main__":
    run_role("guard", GuardSettings, GuardRole)
