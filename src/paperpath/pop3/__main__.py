"""Start the process: ``python -I -m paperpath.pop3 FD``."""

from paperpath.pop3.main import Pop3Role
from paperpath.process.child import run_role
from paperpath.process.settings import Pop3Settings

if __name__ == "__main__":
    run_role("pop3", Pop3Settings, Pop3Role)
