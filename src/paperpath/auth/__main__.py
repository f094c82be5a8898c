"""Start the process: ``python -I -m paperpath.auth FD``."""

from paperpath.auth.main import AuthRole
from paperpath.process.child import run_role
from paperpath.process.settings import AuthSettings

if __name__ == "__main__":
    run_role("auth", AuthSettings, AuthRole)
