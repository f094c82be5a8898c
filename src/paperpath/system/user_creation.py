"""System users: made with the host's own tools, so that its policies about ids and its records are kept."""

import shutil
import subprocess

from paperpath.system.users import find_user

_SEARCH_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"


class UsersError(Exception):
    """A system user could not be made; says why."""


def ensure_user(name: str) -> bool:
    """Make a system user with a group of its name, no home and no login, unless it exists.

    Return whether it was made.  Raises UsersError.
    """
    if find_user(name) is not None:
        return False
    tool = shutil.which("useradd", path=_SEARCH_PATH)
    shell = shutil.which("nologin", path=_SEARCH_PATH) or "/bin/false"
    if tool is None:
        raise UsersError(f"cannot make the system user {name}: there is no useradd in {_SEARCH_PATH}")
    call = [tool, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
    call += ["--shell", shell, name]
    done = subprocess.run(call, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsersError(f"cannot make the system user {name}: {' '.join(done.stderr.split()) or 'useradd failed'}")
    return True
