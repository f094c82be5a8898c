"""Dropping privileges, tried by children that drop their own."""

import pwd

import pytest

from paperpath.system.privileges import drop_to
from tests.peers import require_root
from tests.unit.system.children import run_child

_DROP = """
import ctypes
from paperpath.system.privileges import drop_to
"""


@pytest.mark.root
def test_drop_is_complete_and_final() -> None:
    require_root()
    nobody = pwd.getpwnam("nobody")
    told = run_child(
        _DROP
        + """
drop_to("nobody")
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
tell(
    user=os.getresuid(), group=os.getresgid(), groups=os.getgroups(),
    back=attempt(os.setresuid, 0, 0, 0), group_back=attempt(os.setresgid, 0, 0, 0),
    groups_back=attempt(os.setgroups, [0]), shadow=attempt(open, "/etc/shadow"),
    locked=status["NoNewPrivs"].strip(),
    capabilities=[int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")],
)
"""
    )
    assert told == {
        "user": [nobody.pw_uid] * 3,
        "group": [nobody.pw_gid] * 3,
        "groups": [nobody.pw_gid],
        "back": "EPERM",
        "group_back": "EPERM",
        "groups_back": "EPERM",
        "shadow": "EACCES",
        "locked": "1",
        "capabilities": [0, 0, 0, 0],
    }


@pytest.mark.root
def test_drop_notices_a_way_back() -> None:
    """A process that keeps its capabilities over the change of users could return, so it must not go on."""
    require_root()
    told = run_child(
        _DROP
        + """
ctypes.CDLL(None).prctl(28, 1 << 2, 0, 0, 0)  # SECBIT_NO_SETUID_FIXUP
try:
    drop_to("nobody")
    tell(raised="")
except PermissionError as error:
    tell(raised=str(error))
"""
    )
    assert told == {"raised": "could not become nobody for good"}


def test_root_is_not_a_user_to_drop_to() -> None:
    with pytest.raises(PermissionError, match="user id 0"):
        drop_to("root")


def test_unknown_user() -> None:
    with pytest.raises(FileNotFoundError):
        drop_to("no-such-user-here")


def test_without_privileges_a_drop_fails_loudly() -> None:
    told = run_child(
        """
from paperpath.system.privileges import drop_to
if os.geteuid() == 0:
    drop_to("nobody")
tell(again=attempt(drop_to, "daemon"))
"""
    )
    assert told == {"again": "EPERM"}


def test_limits_hold_and_cannot_be_raised() -> None:
    told = run_child(
        """
import resource as r
from paperpath.system.privileges import limit_resources
if os.geteuid() == 0:
    from paperpath.system.privileges import drop_to
    drop_to("nobody")
got = limit_resources(files=64, address_space=1 << 40)
more = limit_resources(files=100, address_space=1 << 40)
tell(
    got=got, more=more, files=r.getrlimit(r.RLIMIT_NOFILE), core=r.getrlimit(r.RLIMIT_CORE),
    space=r.getrlimit(r.RLIMIT_AS), too_many=attempt(lambda: [os.dup(0) for _ in range(64)]),
)
"""
    )
    assert told == {
        "got": 64,
        "more": 64,
        "files": [64, 64],
        "core": [0, 0],
        "space": [1 << 40, 1 << 40],
        "too_many": "EMFILE",
    }


def test_file_limit_goes_up_to_what_is_allowed() -> None:
    told = run_child(
        """
import resource as r
from paperpath.system.privileges import raise_file_limit
if os.geteuid() == 0:
    from paperpath.system.privileges import drop_to
    drop_to("nobody")
r.setrlimit(r.RLIMIT_NOFILE, (50, 100))
raise_file_limit(200)
tell(files=r.getrlimit(r.RLIMIT_NOFILE))
"""
    )
    assert told == {"files": [100, 100]}
