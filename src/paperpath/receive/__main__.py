"""Start the process: ``python -I -m paperpath.receive FD``."""

from paperpath.process.child import run_role
from paperpath.process.settings import ReceiveSettings
from paperpath.receive.main import ReceiveRole

if __name__ == "__main__":
    run_role("receive", ReceiveSettings, ReceiveRole)
