"""Start the process: ``python -I -m paperpath.remote FD``."""

from paperpath.process.child import run_role
from paperpath.process.settings import RemoteSettings
from paperpath.remote.main import RemoteRole

if __name__ == "__main__":
    run_role("remote", RemoteSettings, RemoteRole)
