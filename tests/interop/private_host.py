"""A host of its own for a test that installs system users: /etc, /home, /run and /var in a private mount namespace.

What is done there does not show on the machine, and is gone when the last process in there has ended. The network and
the process ids are the machine's. The checkout's code and its environment are put where every user may read them, since
the checkout itself may lie in a folder that nobody else can enter.
"""

import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import Final

import pytest

import paperpath
from tests.peers import require_peer, require_root

PATIENCE_S: Final = 45

_OWN: Final = ("etc", "home", "run", "var")
_SET_UP: Final = """
set -eu
cd "$1"
mkdir -p etc home run var/lib var/log var/mail var/tmp code packages
cp -a /etc/. etc/
mount --bind "$2" code
mount --bind "$3" packages
for own in etc home run var; do mount --bind "$own" "/$own"; done
echo done
exec cat
"""
"""Keeps the namespace until its standard input ends."""

_VERSION: Final = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""The compiled packages of the environment are for this one."""

_TRY: Final = """
try:
    import apsw, msgspec, ssl, uvloop, paperpath.cli.main
    print("fine")
except (ImportError, OSError) as error:
    print(error)
"""

_PROGRAM: Final = """#!{python}
import sys
from paperpath.cli.main import main
sys.exit(main())
"""


@dataclass(frozen=True, slots=True)
class PrivateHost:
    """``root`` is the folder that ``/`` of the host's own folders is in: ``root / "etc"`` is its /etc."""

    root: Path
    keeper: int
    """A process in there."""

    @property
    def within(self) -> tuple[str, ...]:
        """The words before a command that is to run in there, as root."""
        return ("nsenter", "--mount", "--target", str(self.keeper))

    @property
    def python(self) -> Path:
        """An interpreter with the code, which every user may run."""
        return self.root / "environment" / "bin" / "python"

    @property
    def installed(self) -> Path:
        """The `paperpath` command of that interpreter."""
        return self.root / "environment" / "bin" / "paperpath"

    @property
    def program(self) -> tuple[str, ...]:
        """The words that start `paperpath` in there."""
        return (*self.within, str(self.installed))

    def run(self, *command: str | Path, user: str = "", expect: int = 0) -> str:
        """Run a command in there as a user (else root), without groups; return what it printed on both outputs."""
        words: Sequence[str | Path] = (*self.within, *self._become(user), *command)
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == expect, f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def ids(self, user: str) -> tuple[int, int]:
        """Return the user id and the group id of a user of this host."""
        for line in (self.root / "etc/passwd").read_text().splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == user:
                return int(uid), int(gid)
        raise AssertionError(f"no user {user}")

    def _become(self, user: str) -> tuple[str, ...]:
        if not user:
            return ()
        uid, gid = self.ids(user)
        return ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--")


@contextmanager
def private_host() -> Iterator[PrivateHost]:
    """Run one; skip the test, with the reason, where that is impossible."""
    require_root()
    for command in ("unshare", "nsenter", "setpriv", "mount"):
        require_peer(command)
    root = Path(tempfile.mkdtemp(prefix="pphost", dir="/tmp"))
    root.chmod(0o755)
    keeper = _keeper(root)
    try:
        assert keeper.stdout is not None
        if keeper.stdout.readline() != "done\n":
            pytest.skip(f"no private mount namespace can be made here: {keeper.communicate()[1].strip()}")
        host = PrivateHost(root, keeper.pid)
        _make_environment(host)
        yield host
    finally:
        if keeper.poll() is None:
            keeper.communicate(timeout=PATIENCE_S)
        rmtree(root)


def _keeper(root: Path) -> subprocess.Popen[str]:
    code, packages = Path(paperpath.__file__).parent.parent, sysconfig.get_path("platlib")
    arguments = [str(root), str(code), packages]
    return subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", _SET_UP, "sh", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _make_environment(host: PrivateHost) -> None:
    environment = host.root / "environment"
    host.run(_interpreter(), "-m", "venv", "--without-pip", environment)
    packages = environment / "lib" / _VERSION / "site-packages"
    (packages / "checkout.pth").write_text(f"{host.root}/code\n{host.root}/packages\n")
    host.installed.write_text(_PROGRAM.format(python=host.python))
    host.installed.chmod(0o755)
    told = host.run(host.python, "-Ic", _TRY, user="nobody")
    if told != "fine\n":
        pytest.skip(f"other users cannot run the code of this checkout: {told}")


def _interpreter() -> Path:
    """Return one of this version that other users may run; this one may lie in root's home."""
    own = Path(sys.executable).resolve()
    if all(folder.stat().st_mode & 0o001 for folder in own.parents):
        return own
    systems = Path("/usr/bin") / _VERSION
    if not systems.exists():
        pytest.skip(f"other users cannot run {own}, and there is no {systems}")
    return systems
